{{/*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/}}

{{/*
Vault Agent's configuration as JSON. (root, role, database, once)
Every key of the key/value secret becomes a variable. Values are quoted for phpdotenv: backslash, quote and dollar.
*/}}
{{- define "laravel.agentConfiguration" -}}
{{- $vault := .root.Values.vault -}}
{{- $quote := "replaceAll \"\\\\\" \"\\\\\\\\\" | replaceAll \"\\\"\" \"\\\\\\\"\" | replaceAll \"$\" \"\\\\$\"" -}}
{{- $template := printf (join "" (list
    "{{ with secret %q }}{{ range $name, $value := .Data.data }}{{ $name }}=\"{{ printf \"%%v\" $value | %s }}\"\n{{ end }}{{ end }}"
    "{{ with secret %q }}DB_USERNAME=\"{{ .Data.username }}\"\nDB_PASSWORD=\"{{ .Data.password | %s }}\"\n{{ end }}"
  )) $vault.keyValue $quote .database $quote -}}
{{- $persist := dict "type" "kubernetes" "path" "/vault/agent-cache" "keep_after_import" true "exit_on_err" false
      "service_account_token_file" "/var/run/secrets/vault/token" -}}
{{- $configuration := dict
      "exit_after_auth" .once
      "vault" (dict "address" $vault.address "ca_cert" "/etc/platform-ca/ca.crt")
      "auto_auth" (dict "method" (dict "type" "kubernetes" "mount_path" $vault.authPath "max_backoff" "10s"
        "config" (dict "role" .role "token_path" "/var/run/secrets/vault/token")))
      "template" (list (dict "destination" (printf "%s/.env" $vault.directory) "perms" "0640" "error_on_missing_key" true
        "contents" $template))
      "template_config" (dict "exit_on_retry_failure" .once "static_secret_render_interval" "1m")
-}}
{{- if .cache }}
{{- $_ := set $configuration "cache" (dict "persist" $persist) }}
{{- end }}
{{- $configuration | toPrettyJson }}
{{- end }}

{{/* One container of the agent. (root, name, file) */}}
{{- define "laravel.agent" -}}
- name: {{ .name }}
  {{- include "laravel.image" (dict "root" .root "image" "agent") | nindent 2 }}
  {{- with .root.Values.vault.command }}
  command: {{ toJson . }}
  {{- end }}
  args: [agent, -config=/etc/vault-agent/{{ .file }}]
  env:
    # The agent's image may try to raise capabilities, which these containers do not have.
    - {name: SKIP_SETCAP, value: "true"}
  {{- include "laravel.containerSecurity" . | nindent 2 }}
  resources: {{- toYaml .root.Values.vault.resources | nindent 4 }}
  volumeMounts:
    - {name: secrets, mountPath: {{ .root.Values.vault.directory }}}
    - {name: agent-cache, mountPath: /vault/agent-cache}
    - {name: agent-configuration, mountPath: /etc/vault-agent, readOnly: true}
    - {name: agent-token, mountPath: /var/run/secrets/vault, readOnly: true}
    - {name: authority, mountPath: /etc/platform-ca, readOnly: true}
{{- end }}

{{/*
Agent of a long-running pod: the first container renders .env once, so that nothing starts without it; the second goes
on rendering. It takes over the first one's token and lease from the cache, so a pod has one database user, not two.
*/}}
{{- define "laravel.agentContainers" -}}
{{ include "laravel.agent" (dict "root" . "name" "agent-init" "file" "once.json") }}
{{ include "laravel.agent" (dict "root" . "name" "agent" "file" "agent.json") }}
  restartPolicy: Always
{{- end }}

{{/* Changes when what the long-running pods read at their start changes. */}}
{{- define "laravel.checksum" -}}
{{- $vault := .Values.vault -}}
{{- $agent := include "laravel.agentConfiguration" (dict "root" . "role" $vault.role "database" $vault.database "once" false) -}}
checksum/configuration: {{ print $agent (.Files.Glob "files/*.php").AsConfig | sha256sum }}
{{- end }}
