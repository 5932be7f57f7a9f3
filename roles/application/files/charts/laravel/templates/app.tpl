{{- /*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/ -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-app
  labels: {{- include "laravel.labels" . | nindent 4 }}
    app.kubernetes.io/component: app
spec:
  selector: {{- include "laravel.selector" . | nindent 4 }}
    app.kubernetes.io/component: app
  ports:
    - {name: fastcgi, port: {{ .Values.app.port }}, targetPort: fastcgi, protocol: TCP}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-app
  labels: {{- include "laravel.labels" . | nindent 4 }}
    app.kubernetes.io/component: app
spec:
  {{- if not .Values.app.autoscaling.enabled }}
  replicas: {{ .Values.app.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  progressDeadlineSeconds: 300
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 25%}
  selector:
    matchLabels: {{- include "laravel.selector" . | nindent 6 }}
      app.kubernetes.io/component: app
  template:
    metadata:
      labels: {{- include "laravel.selector" . | nindent 8 }}
        app.kubernetes.io/component: app
      annotations:
        {{- include "laravel.checksum" . | nindent 8 }}
    spec:
      serviceAccountName: {{ .Release.Name }}
      {{- include "laravel.podSecurity" . | nindent 6 }}
      {{- include "laravel.spread" (dict "root" . "component" "app") | nindent 6 }}
      terminationGracePeriodSeconds: {{ .Values.app.terminationGracePeriodSeconds }}
      initContainers:
        {{- include "laravel.agentContainers" . | nindent 8 }}
      containers:
        - name: app
          {{- include "laravel.image" (dict "root" . "image" "app") | nindent 10 }}
          {{- with .Values.app.command }}
          command: {{ toJson . }}
          {{- end }}
          {{- include "laravel.environment" (dict "root" .) | nindent 10 }}
          ports:
            - {name: fastcgi, containerPort: {{ .Values.app.port }}, protocol: TCP}
          # Asks php-fpm as nginx does: a version that cannot serve does not replace one that can.
          readinessProbe:
            exec:
              command:
                - php
                - /etc/laravel/probe.php
                - 127.0.0.1:{{ .Values.app.port }}
                - {{ printf "%s/%s" .Values.application.path .Values.app.script }}
                - {{ .Values.application.healthPath }}
            periodSeconds: 5
            timeoutSeconds: 10
            failureThreshold: 3
          # Is php-fpm there at all; a lost database is no reason to restart it.
          livenessProbe:
            tcpSocket: {port: fastcgi}
            initialDelaySeconds: 5
            periodSeconds: 10
            failureThreshold: 3
          lifecycle:
            # Requests go on arriving until all nodes know that the pod leaves; then the image's stop signal (SIGQUIT)
            # lets php-fpm end what it has begun.
            preStop:
              sleep: {seconds: {{ .Values.app.drainSeconds }}}
          {{- include "laravel.containerSecurity" . | nindent 10 }}
          resources: {{- toYaml .Values.app.resources | nindent 12 }}
          {{- include "laravel.mounts" . | nindent 10 }}
            - {name: scripts, mountPath: /etc/laravel, readOnly: true}
      volumes:
        {{- include "laravel.volumes" (dict "root" . "configuration" (print .Release.Name "-agent")) | nindent 8 }}
        - name: scripts
          configMap: {name: {{ .Release.Name }}-scripts}
