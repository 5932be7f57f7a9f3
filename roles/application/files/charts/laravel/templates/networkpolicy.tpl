{{- /*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/ -}}
{{- define "laravel.egress" -}}
{{- if .to -}}
- to: {{- toYaml .to | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ .port }}}
{{- end }}
{{- end }}

{{- define "laravel.egressDns" -}}
{{- with .Values.networkPolicy.dns.to -}}
- to: {{- toYaml . | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}
{{- end }}

{{- if .Values.networkPolicy.enabled }}
{{- $policy := .Values.networkPolicy -}}
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
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .Release.Name }}-nginx
  labels: {{- include "laravel.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "laravel.selector" . | nindent 6 }}
      app.kubernetes.io/component: nginx
  policyTypes: [Ingress, Egress]
  ingress:
    - ports:
        - {protocol: TCP, port: 8080}
      {{- with $policy.nginx.from }}
      from: {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- with $policy.prometheus.from }}
    - ports:
        - {protocol: TCP, port: 9090}
      from: {{- toYaml . | nindent 8 }}
    {{- end }}
  egress:
    - to:
        - podSelector:
            matchLabels: {{- include "laravel.selector" . | nindent 14 }}
              app.kubernetes.io/component: app
      ports:
        - {protocol: TCP, port: {{ .Values.app.port }}}
    {{- include "laravel.egressDns" . | nindent 4 }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .Release.Name }}-app
  labels: {{- include "laravel.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "laravel.selector" . | nindent 6 }}
      app.kubernetes.io/component: app
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector:
            matchLabels: {{- include "laravel.selector" . | nindent 14 }}
              app.kubernetes.io/component: nginx
      ports:
        - {protocol: TCP, port: {{ .Values.app.port }}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .Release.Name }}-backing-services
  labels: {{- include "laravel.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "laravel.selector" . | nindent 6 }}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: [app, worker, scheduler]}
  policyTypes: [Egress]
  egress:
    {{- include "laravel.egress" $policy.database | nindent 4 }}
    {{- include "laravel.egress" $policy.redis | nindent 4 }}
    {{- include "laravel.egress" $policy.vault | nindent 4 }}
    {{- include "laravel.egressDns" . | nindent 4 }}
{{- with $policy.workerExternal.cidrs }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $.Release.Name }}-worker-external
  labels: {{- include "laravel.labels" $ | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "laravel.selector" $ | nindent 6 }}
      app.kubernetes.io/component: worker
  policyTypes: [Egress]
  egress:
    - to:
        {{- range . }}
        - ipBlock: {cidr: {{ . }}}
        {{- end }}
      ports:
        - {protocol: TCP, port: {{ $policy.workerExternal.port }}}
{{- end }}
{{- end }}
