{{/*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/}}

{{/* Pod of a job that renders .env once and runs one artisan command.
     (root, component, name, account, configuration, command, resources, environment) */}}
{{- define "laravel.jobPod" -}}
metadata:
  labels: {{- include "laravel.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  restartPolicy: Never
  serviceAccountName: {{ .account }}
  {{- include "laravel.podSecurity" .root | nindent 2 }}
  initContainers:
    {{- include "laravel.agent" (dict "root" .root "file" "once.hcl") | nindent 4 }}
  containers:
    - name: {{ .name }}
      {{- include "laravel.image" (dict "root" .root "image" "app") | nindent 6 }}
      command: {{ toJson .command }}
      workingDir: {{ .root.Values.application.path }}
      {{- include "laravel.environment" (dict "root" .root "extra" .environment) | nindent 6 }}
      {{- include "laravel.containerSecurity" .root | nindent 6 }}
      resources: {{- toYaml .resources | nindent 8 }}
      {{- include "laravel.mounts" .root | nindent 6 }}
  volumes:
    {{- include "laravel.volumes" (dict "root" .root "configuration" .configuration) | nindent 4 }}
{{- end }}
