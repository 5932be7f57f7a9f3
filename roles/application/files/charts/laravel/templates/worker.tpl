{{- /*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/ -}}
{{- if .Values.worker.enabled -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-worker
  labels: {{- include "laravel.labels" . | nindent 4 }}
    app.kubernetes.io/component: worker
spec:
  {{- if not .Values.worker.autoscaling.enabled }}
  replicas: {{ .Values.worker.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  progressDeadlineSeconds: 300
  # A worker without a probe is ready at once; a new one that ends in these seconds stops the rollout.
  minReadySeconds: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 25%}
  selector:
    matchLabels: {{- include "laravel.selector" . | nindent 6 }}
      app.kubernetes.io/component: worker
  template:
    metadata:
      labels: {{- include "laravel.selector" . | nindent 8 }}
        app.kubernetes.io/component: worker
      annotations:
        {{- include "laravel.checksum" . | nindent 8 }}
    spec:
      serviceAccountName: {{ .Release.Name }}
      {{- include "laravel.podSecurity" . | nindent 6 }}
      {{- include "laravel.spread" (dict "root" . "component" "worker") | nindent 6 }}
      terminationGracePeriodSeconds: {{ .Values.worker.terminationGracePeriodSeconds }}
      initContainers:
        {{- include "laravel.agentContainers" . | nindent 8 }}
      containers:
        # No probes: the worker listens on nothing, ends its own hanging jobs (--timeout), and when it fails the
        # supervisor fails with it.
        - name: worker
          {{- include "laravel.image" (dict "root" . "image" "app") | nindent 10 }}
          command: {{ concat (list "php" "/etc/laravel/worker.php" (printf "%s/.env" .Values.vault.directory)) .Values.worker.command | toJson }}
          workingDir: {{ .Values.application.path }}
          {{- include "laravel.environment" (dict "root" .) | nindent 10 }}
          {{- include "laravel.containerSecurity" . | nindent 10 }}
          resources: {{- toYaml .Values.worker.resources | nindent 12 }}
          {{- include "laravel.mounts" . | nindent 10 }}
            - {name: scripts, mountPath: /etc/laravel, readOnly: true}
      volumes:
        {{- include "laravel.volumes" (dict "root" . "configuration" (print .Release.Name "-agent")) | nindent 8 }}
        - name: scripts
          configMap: {name: {{ .Release.Name }}-scripts}
{{- end }}
