{{/*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/}}

{{/*
Vault Agent's configuration. (root, role, database, once, cache)
Every key of the key/value secret becomes a variable. Values are quoted for phpdotenv: backslash, quote and dollar.
In HCL, because the agent reads a nested object of JSON as several blocks.
*/}}
{{- define "laravel.agentConfiguration" -}}
{{- $vault := .root.Values.vault -}}
{{- $quote := `replaceAll "\\" "\\\\" | replaceAll "\"" "\\\"" | replaceAll "$" "\\$"` -}}
{{- $template := `{{ with secret "KEY_VALUE" }}{{ range $name, $value := .Data.data }}{{ $name }}="{{ printf "%v" $value | QUOTE }}"
{{ end }}{{ end }}{{ with secret "DATABASE" }}DB_USERNAME="{{ .Data.username }}"
DB_PASSWORD="{{ .Data.password | QUOTE }}"
{{ end }}` -}}
exit_after_auth = {{ .once }}
vault {
  address = {{ $vault.address | quote }}
  ca_cert = "/etc/platform-ca/ca.crt"
}
auto_auth {
  method {
    type        = "kubernetes"
    mount_path  = {{ $vault.authPath | quote }}
    max_backoff = "10s"
    config = {
      role       = {{ .role | quote }}
      token_path = "/var/run/secrets/vault/token"
    }
  }
}
{{- if .cache }}
cache {
  persist "kubernetes" {
    path                       = "/vault/agent-cache"
    keep_after_import          = true
    exit_on_err                = false
    service_account_token_file = "/var/run/secrets/vault/token"
  }
}
{{- end }}
template_config {
  exit_on_retry_failure         = {{ .once }}
  static_secret_render_interval = "1m"
}
template {
  destination          = "{{ $vault.directory }}/.env"
  perms                = "0640"
  error_on_missing_key = true
  contents             = <<TEMPLATE
{{ $template | replace "QUOTE" $quote | replace "KEY_VALUE" $vault.keyValue | replace "DATABASE" .database }}
TEMPLATE
}
{{ end }}

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
{{ include "laravel.agent" (dict "root" . "name" "agent-init" "file" "once.hcl") }}
{{ include "laravel.agent" (dict "root" . "name" "agent" "file" "agent.hcl") }}
  restartPolicy: Always
{{- end }}

{{/* Changes when what the long-running pods read at their start changes. */}}
{{- define "laravel.checksum" -}}
{{- $vault := .Values.vault -}}
{{- $agent := include "laravel.agentConfiguration" (dict "root" . "role" $vault.role "database" $vault.database "once" false) -}}
checksum/configuration: {{ print $agent (.Files.Glob "files/*.php").AsConfig | sha256sum }}
{{- end }}
