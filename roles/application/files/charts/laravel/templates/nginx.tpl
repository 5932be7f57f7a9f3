{{- /*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/ -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-nginx
  labels: {{- include "laravel.labels" . | nindent 4 }}
    app.kubernetes.io/component: nginx
spec:
  type: {{ .Values.nginx.service.type }}
  selector: {{- include "laravel.selector" . | nindent 4 }}
    app.kubernetes.io/component: nginx
  ports:
    - name: http
      port: 80
      targetPort: http
      protocol: TCP
      {{- with .Values.nginx.service.nodePort }}
      nodePort: {{ . }}
      {{- end }}
---
# Apart from the visitors' Service, so that a NodePort or load balancer never shows the metrics.
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-metrics
  labels: {{- include "laravel.labels" . | nindent 4 }}
    app.kubernetes.io/component: metrics
spec:
  selector: {{- include "laravel.selector" . | nindent 4 }}
    app.kubernetes.io/component: nginx
  ports:
    - {name: metrics, port: 9090, targetPort: metrics, protocol: TCP}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-nginx
  labels: {{- include "laravel.labels" . | nindent 4 }}
    app.kubernetes.io/component: nginx
spec:
  {{- if not .Values.nginx.autoscaling.enabled }}
  replicas: {{ .Values.nginx.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  progressDeadlineSeconds: 300
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 25%}
  selector:
    matchLabels: {{- include "laravel.selector" . | nindent 6 }}
      app.kubernetes.io/component: nginx
  template:
    metadata:
      labels: {{- include "laravel.selector" . | nindent 8 }}
        app.kubernetes.io/component: nginx
      annotations:
        checksum/upstream: {{ printf "%s %v" .Release.Name .Values.app.port | sha256sum }}
    spec:
      serviceAccountName: {{ .Release.Name }}-nginx
      {{- include "laravel.podSecurity" . | nindent 6 }}
      {{- include "laravel.spread" (dict "root" . "component" "nginx") | nindent 6 }}
      terminationGracePeriodSeconds: {{ .Values.nginx.terminationGracePeriodSeconds }}
      containers:
        - name: nginx
          {{- include "laravel.image" (dict "root" . "image" "nginx") | nindent 10 }}
          {{- with .Values.nginx.command }}
          command: {{ toJson . }}
          {{- end }}
          ports:
            - {name: http, containerPort: 8080, protocol: TCP}
            - {name: metrics, containerPort: 9090, protocol: TCP}
          readinessProbe:
            httpGet: {path: {{ .Values.application.healthPath }}, port: http}
            periodSeconds: 5
            timeoutSeconds: 10
            failureThreshold: 3
          # Is nginx there at all; php-fpm is not its business.
          livenessProbe:
            tcpSocket: {port: http}
            initialDelaySeconds: 5
            periodSeconds: 10
            failureThreshold: 3
          lifecycle:
            # As for php-fpm.
            preStop:
              sleep: {seconds: {{ .Values.nginx.drainSeconds }}}
          {{- include "laravel.containerSecurity" . | nindent 10 }}
          resources: {{- toYaml .Values.nginx.resources | nindent 12 }}
          volumeMounts:
            - {name: temporary, mountPath: /tmp}
            - {name: upstream, mountPath: /etc/nginx/conf.d, readOnly: true}
      volumes:
        - name: temporary
          emptyDir: {sizeLimit: 128Mi}
        - name: upstream
          configMap: {name: {{ .Release.Name }}-nginx}
