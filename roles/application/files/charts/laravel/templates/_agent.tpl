{{/*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/}}

{{/*
Vault Agent's configuration. (root, role, database, once)
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

{{/* The agent's container. (root, file) */}}
{{- define "laravel.agent" -}}
- name: agent
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
    - {name: agent-configuration, mountPath: /etc/vault-agent, readOnly: true}
    - {name: agent-token, mountPath: /var/run/secrets/vault, readOnly: true}
    - {name: authority, mountPath: /etc/platform-ca, readOnly: true}
{{- end }}

{{/*
Agent of a long-running pod: a sidecar, which starts first and goes on rendering, and a container that waits for its first
file, so that nothing starts without it. One agent means one database user. The agent's cache, by which a second one could
take the lease over, answers renewals itself: the agent then renders new credentials after the old ones have ended.
*/}}
{{- define "laravel.agentContainers" -}}
{{ include "laravel.agent" (dict "root" . "file" "agent.hcl") }}
  restartPolicy: Always
- name: wait
  {{- include "laravel.image" (dict "root" . "image" "app") | nindent 2 }}
  command: [php, /etc/laravel/wait.php, {{ .Values.vault.directory }}/.env, "120"]
  {{- include "laravel.containerSecurity" . | nindent 2 }}
  resources:
    requests: {cpu: 10m, memory: 32Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - {name: temporary, mountPath: /tmp}
    - {name: secrets, mountPath: {{ .Values.vault.directory }}, readOnly: true}
    - {name: scripts, mountPath: /etc/laravel, readOnly: true}
{{- end }}

{{/* Changes when what the long-running pods read at their start changes. */}}
{{- define "laravel.checksum" -}}
{{- $vault := .Values.vault -}}
{{- $agent := include "laravel.agentConfiguration" (dict "root" . "role" $vault.role "database" $vault.database "once" false) -}}
checksum/configuration: {{ print $agent (.Files.Glob "files/*.php").AsConfig | sha256sum }}
{{- end }}
