{{/*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/}}

{{/* The peers that are no component: name -> peers as in NetworkPolicy, and ports. */}}
{{- define "laravel.networkPeers" -}}
{{- $policy := .Values.networkPolicy -}}
{{- $external := list -}}
{{- range $policy.workerExternal.cidrs -}}
{{- $external = append $external (dict "ipBlock" (dict "cidr" .)) -}}
{{- end -}}
visitors: {peers: {{ toJson $policy.nginx.from }}}
prometheus: {peers: {{ toJson $policy.prometheus.from }}}
database: {peers: {{ toJson $policy.database.to }}, ports: [{protocol: TCP, port: {{ $policy.database.port }}}]}
redis: {peers: {{ toJson $policy.redis.to }}, ports: [{protocol: TCP, port: {{ $policy.redis.port }}}]}
vault: {peers: {{ toJson $policy.vault.to }}, ports: [{protocol: TCP, port: {{ $policy.vault.port }}}]}
external: {peers: {{ toJson $external }}, ports: [{protocol: TCP, port: {{ $policy.workerExternal.port }}}]}
dns: {peers: {{ toJson $policy.dns.to }}, ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]}
app: {ports: [{protocol: TCP, port: {{ .Values.app.port }}}]}
{{- end }}

{{/* The policy of one component. (root, component, annotations) */}}
{{- define "laravel.networkPolicy" -}}
{{- $known := include "laravel.networkPeers" .root | fromYaml -}}
{{- $selector := include "laravel.selector" .root | fromYaml -}}
{{- $ingress := list -}}
{{- $egress := list -}}
{{- $reasons := list -}}
{{- $component := .component -}}
{{- range (.root.Files.Get "files/network-paths.yaml" | fromYaml).paths -}}
{{- $path := . -}}
{{- $ports := (get $known .to | default dict).ports -}}
{{- if .ports -}}
{{- $ports = list -}}
{{- range .ports -}}
{{- $ports = append $ports (dict "protocol" "TCP" "port" (int .)) -}}
{{- end -}}
{{- end -}}
{{- range .from -}}
{{- /* Who is not among the peers of the values is a component. */ -}}
{{- $from := list (dict "podSelector" (dict "matchLabels" (merge (dict "app.kubernetes.io/component" .) $selector))) -}}
{{- if hasKey $known . -}}
{{- $from = (get $known .).peers | default $from -}}
{{- end -}}
{{- $to := list (dict "podSelector" (dict "matchLabels" (merge (dict "app.kubernetes.io/component" $path.to) $selector))) -}}
{{- if hasKey (get $known $path.to | default dict) "peers" -}}
{{- $to = (get $known $path.to).peers -}}
{{- end -}}
{{- $visitors := and (eq . "visitors") (not (get $known "visitors").peers) -}}
{{- $nobody := and (hasKey (get $known . | default dict) "peers") (not (get $known .).peers) (not $visitors) -}}
{{- if and (eq $path.to $component) (not $nobody) -}}
{{- $ingress = append $ingress (ternary (dict "ports" $ports) (dict "from" $from "ports" $ports) $visitors) -}}
{{- $reasons = append $reasons (printf "%s -> %s: %s" . $path.to $path.reason) -}}
{{- end -}}
{{- if and (eq . $component) $to -}}
{{- $egress = append $egress (dict "to" $to "ports" $ports) -}}
{{- $reasons = append $reasons (printf "%s -> %s: %s" . $path.to $path.reason) -}}
{{- end -}}
{{- end -}}
{{- end -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .root.Release.Name }}-{{ .component }}
  labels: {{- include "laravel.labels" .root | nindent 4 }}
  annotations: {{- merge (dict "onprem.platform/reasons" (join "\n" $reasons)) .annotations | toYaml | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "laravel.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  policyTypes: [Ingress, Egress]
  ingress: {{- toYaml $ingress | nindent 4 }}
  egress: {{- toYaml $egress | nindent 4 }}
{{- end }}
