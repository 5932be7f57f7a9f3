{{- /*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/ -}}
{{- range $suffix := ternary (list "" "-nginx" "-scheduler") (list "" "-nginx") .Values.scheduler.enabled }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $.Release.Name }}{{ $suffix }}
  labels: {{- include "laravel.labels" $ | nindent 4 }}
automountServiceAccountToken: false
{{- end }}
