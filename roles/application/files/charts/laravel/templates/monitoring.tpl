{{- /*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/ -}}
{{- if .Values.serviceMonitor.enabled }}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ .Release.Name }}
  labels: {{- include "laravel.labels" . | nindent 4 }}
    {{- with .Values.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  # The label `job` is the release's name.
  jobLabel: app.kubernetes.io/instance
  selector:
    matchLabels: {{- include "laravel.selector" . | nindent 6 }}
      app.kubernetes.io/component: metrics
  endpoints:
    - {port: metrics, path: /metrics, interval: {{ .Values.serviceMonitor.interval }}}
{{- end }}
{{- if .Values.prometheusRule.enabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: {{ .Release.Name }}
  labels: {{- include "laravel.labels" . | nindent 4 }}
    {{- with .Values.prometheusRule.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- $groups := toYaml .Values.prometheusRule.groups }}
  {{- range $name, $value := .Values.prometheusRule.thresholds }}
  {{- $groups = replace (printf "[[%s]]" $name) (toJson $value) $groups }}
  {{- end }}
  {{- with regexFind "\\[\\[\\w+\\]\\]" $groups }}
  {{- fail (printf "prometheusRule.thresholds has no value for %s" .) }}
  {{- end }}
  groups: {{- $groups | nindent 4 }}
{{- end }}
