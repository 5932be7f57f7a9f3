{{- /*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/ -}}
{{- if .Values.scheduler.enabled -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ .Release.Name }}-scheduler
  labels: {{- include "laravel.labels" . | nindent 4 }}
    app.kubernetes.io/component: scheduler
spec:
  schedule: {{ .Values.scheduler.schedule | quote }}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 60
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 0
      activeDeadlineSeconds: {{ .Values.scheduler.activeDeadlineSeconds }}
      template:
        {{- include "laravel.jobPod" (dict "root" . "component" "scheduler" "name" "scheduler"
              "account" (print .Release.Name "-scheduler") "configuration" (print .Release.Name "-scheduler-agent")
              "command" .Values.scheduler.command "resources" .Values.scheduler.resources) | nindent 8 }}
{{- end }}
