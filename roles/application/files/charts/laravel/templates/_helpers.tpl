{{/*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/}}

{{- define "laravel.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of objects; pods carry the selector and their component only, so that a new version does not restart more than it changes. */}}
{{- define "laravel.labels" -}}
{{ include "laravel.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* (root, image) */}}
{{- define "laravel.image" -}}
{{- $image := index .root.Values.images .image -}}
image: {{ printf "%s/%s@%s" .root.Values.registry $image.repository $image.digest }}
imagePullPolicy: IfNotPresent
{{- end }}

{{/* Pod Security "restricted", and a read-only root file system. */}}
{{- define "laravel.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .Values.user }}
  runAsGroup: {{ .Values.user }}
  fsGroup: {{ .Values.user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "laravel.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Replicas of one component go to different nodes when possible, counted per revision. (root, component) */}}
{{- define "laravel.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "laravel.selector" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Environment of a container that runs PHP. (root, extra) */}}
{{- define "laravel.environment" -}}
{{- $all := merge (dict) (.extra | default dict) .root.Values.application.environment -}}
{{- if $all -}}
env:
  {{- range $name := keys $all | sortAlpha }}
  - {name: {{ $name }}, value: {{ index $all $name | toString | quote }}}
  {{- end }}
{{- end }}
{{- end }}

{{/* Mounts of a container that runs PHP. */}}
{{- define "laravel.mounts" -}}
volumeMounts:
  - {name: temporary, mountPath: /tmp}
  - {name: secrets, mountPath: {{ .Values.vault.directory }}, readOnly: true}
  - {name: authority, mountPath: /etc/platform-ca, readOnly: true}
{{- end }}

{{/* Volumes of a pod that runs PHP. (root, configuration: name of the agent's ConfigMap) */}}
{{- define "laravel.volumes" -}}
- name: temporary
  emptyDir: {sizeLimit: 128Mi}
# In memory: secrets never reach a disk.
- name: secrets
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: agent-configuration
  configMap: {name: {{ .configuration }}}
- name: authority
  configMap:
    name: {{ .root.Values.vault.certificateAuthority.configMap }}
    items:
      - {key: {{ .root.Values.vault.certificateAuthority.key | quote }}, path: ca.crt}
# Only the agent's containers mount this token, and it is worth something at Vault only.
- name: agent-token
  projected:
    sources:
      - serviceAccountToken: {audience: {{ .root.Values.vault.audience }}, expirationSeconds: 3600, path: token}
{{- end }}
