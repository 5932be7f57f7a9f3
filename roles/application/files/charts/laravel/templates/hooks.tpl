{{- /*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later

A pre-upgrade job runs before Helm touches the release's objects, so it may use none of them: its service account, agent
configuration and network policy are hooks too, made anew before the first job of each installation or upgrade.
*/ -}}
{{- $vault := .Values.vault -}}
{{- $name := print .Release.Name "-hook" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels: {{- include "laravel.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "-10"
    helm.sh/hook-delete-policy: before-hook-creation
automountServiceAccountToken: false
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  labels: {{- include "laravel.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "-10"
    helm.sh/hook-delete-policy: before-hook-creation
data:
  once.hcl: |
    {{- include "laravel.agentConfiguration" (dict "root" $ "role" $vault.jobRole "database" $vault.jobDatabase "once" true) | nindent 4 }}
{{- if .Values.networkPolicy.enabled }}
{{- $annotations := dict "helm.sh/hook" "pre-install,pre-upgrade" "helm.sh/hook-weight" "-10" "helm.sh/hook-delete-policy" "before-hook-creation" }}
{{- range list "migrator" "seeder" }}
---
{{ include "laravel.networkPolicy" (dict "root" $ "component" . "annotations" $annotations) }}
{{- end }}
{{- end }}
{{- range $hook := list "expand" "seed" "contract" }}
{{- $job := index $.Values.hooks $hook }}
{{- if $job.enabled }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $.Release.Name }}-{{ $hook }}
  labels: {{- include "laravel.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ ternary "seeder" "migrator" (eq $hook "seed") }}
  annotations:
    helm.sh/hook: {{ join "," $job.events }}
    helm.sh/hook-weight: {{ $job.weight | quote }}
    # A failed job stays for its log and is replaced by the next try.
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: {{ $.Values.hooks.backoffLimit }}
  activeDeadlineSeconds: {{ $.Values.hooks.activeDeadlineSeconds }}
  template:
    {{- include "laravel.jobPod" (dict "root" $ "component" (ternary "seeder" "migrator" (eq $hook "seed")) "name" $hook
          "account" $name "configuration" $name "command" $job.command "resources" $.Values.hooks.resources
          "environment" $.Values.hooks.environment) | nindent 4 }}
{{- end }}
{{- end }}
