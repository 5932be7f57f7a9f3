{{- /*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later

What may connect to what stands in files/network-paths.yaml.
*/ -}}
{{- if .Values.networkPolicy.enabled -}}
# Nothing in, nothing out, for every pod of the release; the other policies add what is listed.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .Release.Name }}-default-deny
  labels: {{- include "laravel.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "laravel.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- range list "nginx" "app" "worker" "scheduler" }}
---
{{ include "laravel.networkPolicy" (dict "root" $ "component" . "annotations" dict) }}
{{- end }}
{{- end }}
