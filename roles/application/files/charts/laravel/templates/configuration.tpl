{{- /*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/ -}}
{{- $vault := .Values.vault -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-agent
  labels: {{- include "laravel.labels" . | nindent 4 }}
data:
  agent.hcl: |
    {{- include "laravel.agentConfiguration" (dict "root" $ "role" $vault.role "database" $vault.database "once" false) | nindent 4 }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-scripts
  labels: {{- include "laravel.labels" . | nindent 4 }}
data:
  {{- (.Files.Glob "files/*.php").AsConfig | nindent 2 }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-nginx
  labels: {{- include "laravel.labels" . | nindent 4 }}
data:
  upstream.conf: |
    # The same Service twice: when a connection fails, nginx tries once more and reaches another pod.
    upstream application {
        server {{ .Release.Name }}-app:{{ .Values.app.port }} max_fails=0;
        server {{ .Release.Name }}-app:{{ .Values.app.port }} max_fails=0;
    }
{{- if .Values.scheduler.enabled }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-scheduler-agent
  labels: {{- include "laravel.labels" . | nindent 4 }}
data:
  once.hcl: |
    {{- include "laravel.agentConfiguration" (dict "root" $ "role" $vault.jobRole "database" $vault.jobDatabase "once" true) | nindent 4 }}
{{- end }}
