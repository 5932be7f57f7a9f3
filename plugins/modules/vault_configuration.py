#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a whole configuration of Vault about in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_configuration
short_description: Bring a whole configuration of Vault about in one call
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Does what the modules for single kinds of objects do, with one client and one login.
  - The sections are carried out in the order in which they build on each other, which is the order below.
    Objects that no section names are left alone.
  - All objects are read before the first is written, so that a wrong value stops the call before anything changed.
    An object in a mount that the same call makes counts as not existing yet, in check mode too.
  - An object that Vault refuses does not stop the others of its section, but the sections that follow. The call then
    fails with C(partial_failure) and tells what was done, what failed and what was not attempted.
  - The upgrade of a key-value engine from version 1 to version 2 has to be done before, with
    M(onprem.platform.vault_mount), if secrets in it are named here.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Secrets are shown as hidden, as the modules for single kinds show them.
  idempotent:
    support: partial
    details: Not with O(kubernetes_auth_configs[].update_jwt=always), O(database_connections[].update_password=always)
      or O(database_root_rotations[].force=true), because what is stored cannot be compared.
options:
  audit_devices:
    description:
      - Audit devices. They come first, so that what follows is in the log.
      - Their options are those of M(onprem.platform.vault_audit), and mean the same.
    type: list
    elements: dict
    suboptions:
      path:
        description: As in M(onprem.platform.vault_audit).
        type: str
      type:
        description: As in M(onprem.platform.vault_audit).
        type: str
        choices: [file, socket, syslog]
        default: file
      description:
        description: As in M(onprem.platform.vault_audit).
        type: str
      options:
        description: As in M(onprem.platform.vault_audit).
        type: dict
      local:
        description: As in M(onprem.platform.vault_audit).
        type: bool
      replace:
        description: As in M(onprem.platform.vault_audit).
        type: bool
        default: false
      state:
        description: As in M(onprem.platform.vault_audit).
        type: str
        choices: [present, absent]
        default: present
  mounts:
    description:
      - Secrets engines.
      - Their options are those of M(onprem.platform.vault_mount), and mean the same.
    type: list
    elements: dict
    suboptions:
      path:
        description: As in M(onprem.platform.vault_mount).
        type: str
      type:
        description: As in M(onprem.platform.vault_mount).
        type: str
      description:
        description: As in M(onprem.platform.vault_mount).
        type: str
      default_lease_ttl:
        description: As in M(onprem.platform.vault_mount).
        type: str
      max_lease_ttl:
        description: As in M(onprem.platform.vault_mount).
        type: str
      listing_visibility:
        description: As in M(onprem.platform.vault_mount).
        type: str
        choices: [hidden, unauth]
      audit_non_hmac_request_keys:
        description: As in M(onprem.platform.vault_mount).
        type: list
        elements: str
      audit_non_hmac_response_keys:
        description: As in M(onprem.platform.vault_mount).
        type: list
        elements: str
      passthrough_request_headers:
        description: As in M(onprem.platform.vault_mount).
        type: list
        elements: str
      allowed_response_headers:
        description: As in M(onprem.platform.vault_mount).
        type: list
        elements: str
      options:
        description: As in M(onprem.platform.vault_mount).
        type: dict
      local:
        description: As in M(onprem.platform.vault_mount).
        type: bool
      seal_wrap:
        description: As in M(onprem.platform.vault_mount).
        type: bool
      state:
        description: As in M(onprem.platform.vault_mount).
        type: str
        choices: [present, absent]
        default: present
      external_entropy_access:
        description: As in M(onprem.platform.vault_mount).
        type: bool
  auth_methods:
    description:
      - Auth methods.
      - Their options are those of M(onprem.platform.vault_auth_method), and mean the same.
    type: list
    elements: dict
    suboptions:
      path:
        description: As in M(onprem.platform.vault_auth_method).
        type: str
      type:
        description: As in M(onprem.platform.vault_auth_method).
        type: str
      description:
        description: As in M(onprem.platform.vault_auth_method).
        type: str
      default_lease_ttl:
        description: As in M(onprem.platform.vault_auth_method).
        type: str
      max_lease_ttl:
        description: As in M(onprem.platform.vault_auth_method).
        type: str
      listing_visibility:
        description: As in M(onprem.platform.vault_auth_method).
        type: str
        choices: [hidden, unauth]
      audit_non_hmac_request_keys:
        description: As in M(onprem.platform.vault_auth_method).
        type: list
        elements: str
      audit_non_hmac_response_keys:
        description: As in M(onprem.platform.vault_auth_method).
        type: list
        elements: str
      passthrough_request_headers:
        description: As in M(onprem.platform.vault_auth_method).
        type: list
        elements: str
      allowed_response_headers:
        description: As in M(onprem.platform.vault_auth_method).
        type: list
        elements: str
      options:
        description: As in M(onprem.platform.vault_auth_method).
        type: dict
      local:
        description: As in M(onprem.platform.vault_auth_method).
        type: bool
      seal_wrap:
        description: As in M(onprem.platform.vault_auth_method).
        type: bool
      state:
        description: As in M(onprem.platform.vault_auth_method).
        type: str
        choices: [present, absent]
        default: present
      token_type:
        description: As in M(onprem.platform.vault_auth_method).
        type: str
        choices: [default-service, default-batch, service, batch]
  policies:
    description:
      - ACL policies.
      - Their options are those of M(onprem.platform.vault_policy), and mean the same.
    type: list
    elements: dict
    suboptions:
      name:
        description: As in M(onprem.platform.vault_policy).
        type: str
        required: true
      policy:
        description: As in M(onprem.platform.vault_policy).
        type: str
        aliases: [rules]
      state:
        description: As in M(onprem.platform.vault_policy).
        type: str
        choices: [present, absent]
        default: present
  kubernetes_auth_configs:
    description:
      - Configurations of Kubernetes auth methods.
      - Their options are those of M(onprem.platform.vault_kubernetes_auth_config), and mean the same.
    type: list
    elements: dict
    suboptions:
      auth_path:
        description: As in M(onprem.platform.vault_kubernetes_auth_config).
        type: str
        default: kubernetes
        aliases: [engine_mount_point]
      kubernetes_host:
        description: As in M(onprem.platform.vault_kubernetes_auth_config).
        type: str
      kubernetes_ca_cert:
        description: As in M(onprem.platform.vault_kubernetes_auth_config).
        type: str
      token_reviewer_jwt:
        description: As in M(onprem.platform.vault_kubernetes_auth_config).
        type: str
      update_jwt:
        description: As in M(onprem.platform.vault_kubernetes_auth_config).
        type: str
        choices: [on_create, always]
        default: on_create
      pem_keys:
        description: As in M(onprem.platform.vault_kubernetes_auth_config).
        type: list
        elements: str
      issuer:
        description: As in M(onprem.platform.vault_kubernetes_auth_config).
        type: str
      disable_iss_validation:
        description: As in M(onprem.platform.vault_kubernetes_auth_config).
        type: bool
      disable_local_ca_jwt:
        description: As in M(onprem.platform.vault_kubernetes_auth_config).
        type: bool
      use_annotations_as_alias_metadata:
        description: As in M(onprem.platform.vault_kubernetes_auth_config).
        type: bool
  kubernetes_roles:
    description:
      - Roles of Kubernetes auth methods.
      - Their options are those of M(onprem.platform.vault_kubernetes_role), and mean the same.
    type: list
    elements: dict
    suboptions:
      name:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: str
        required: true
      bound_service_account_names:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: list
        elements: str
      bound_service_account_namespaces:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: list
        elements: str
      bound_service_account_namespace_selector:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: str
      audience:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: str
      alias_name_source:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: str
        choices: [serviceaccount_uid, serviceaccount_name]
      token_policies:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: list
        elements: str
      token_ttl:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: str
      token_max_ttl:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: str
      token_explicit_max_ttl:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: str
      token_period:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: str
      token_num_uses:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: int
      token_type:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: str
        choices: [default, service, batch, default-service, default-batch]
      token_bound_cidrs:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: list
        elements: str
      token_no_default_policy:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: bool
      auth_path:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: str
        default: kubernetes
        aliases: [engine_mount_point]
      state:
        description: As in M(onprem.platform.vault_kubernetes_role).
        type: str
        choices: [present, absent]
        default: present
  approle_roles:
    description:
      - Roles of AppRole auth methods.
      - Their options are those of M(onprem.platform.vault_approle_role), and mean the same.
    type: list
    elements: dict
    suboptions:
      name:
        description: As in M(onprem.platform.vault_approle_role).
        type: str
        required: true
        aliases: [role_name]
      custom_role_id:
        description: As in M(onprem.platform.vault_approle_role).
        type: str
      bind_secret_id:
        description: As in M(onprem.platform.vault_approle_role).
        type: bool
      local_secret_ids:
        description: As in M(onprem.platform.vault_approle_role).
        type: bool
      secret_id_bound_cidrs:
        description: As in M(onprem.platform.vault_approle_role).
        type: list
        elements: str
      secret_id_num_uses:
        description: As in M(onprem.platform.vault_approle_role).
        type: int
      secret_id_ttl:
        description: As in M(onprem.platform.vault_approle_role).
        type: str
      token_policies:
        description: As in M(onprem.platform.vault_approle_role).
        type: list
        elements: str
      token_ttl:
        description: As in M(onprem.platform.vault_approle_role).
        type: str
      token_max_ttl:
        description: As in M(onprem.platform.vault_approle_role).
        type: str
      token_explicit_max_ttl:
        description: As in M(onprem.platform.vault_approle_role).
        type: str
      token_period:
        description: As in M(onprem.platform.vault_approle_role).
        type: str
      token_num_uses:
        description: As in M(onprem.platform.vault_approle_role).
        type: int
      token_type:
        description: As in M(onprem.platform.vault_approle_role).
        type: str
        choices: [default, service, batch, default-service, default-batch]
      token_bound_cidrs:
        description: As in M(onprem.platform.vault_approle_role).
        type: list
        elements: str
      token_no_default_policy:
        description: As in M(onprem.platform.vault_approle_role).
        type: bool
      auth_path:
        description: As in M(onprem.platform.vault_approle_role).
        type: str
        default: approle
        aliases: [engine_mount_point]
      state:
        description: As in M(onprem.platform.vault_approle_role).
        type: str
        choices: [present, absent]
        default: present
  kv2_configs:
    description:
      - Settings of versioned key-value engines.
      - Their options are those of M(onprem.platform.vault_kv2_config), and mean the same.
    type: list
    elements: dict
    suboptions:
      engine_mount_point:
        description: As in M(onprem.platform.vault_kv2_config).
        type: str
        default: kv
        aliases: [mount_path]
      max_versions:
        description: As in M(onprem.platform.vault_kv2_config).
        type: int
      cas_required:
        description: As in M(onprem.platform.vault_kv2_config).
        type: bool
      delete_version_after:
        description: As in M(onprem.platform.vault_kv2_config).
        type: str
  kv2_secrets:
    description:
      - Secrets of versioned key-value engines.
      - Their options are those of M(onprem.platform.vault_kv2_secret), and mean the same.
    type: list
    elements: dict
    suboptions:
      path:
        description: As in M(onprem.platform.vault_kv2_secret).
        type: str
        required: true
      data:
        description: As in M(onprem.platform.vault_kv2_secret).
        type: dict
      method:
        description: As in M(onprem.platform.vault_kv2_secret).
        type: str
        choices: [replace, merge, add, patch]
      cas:
        description: As in M(onprem.platform.vault_kv2_secret).
        type: int
      custom_metadata:
        description: As in M(onprem.platform.vault_kv2_secret).
        type: dict
      max_versions:
        description: As in M(onprem.platform.vault_kv2_secret).
        type: int
      cas_required:
        description: As in M(onprem.platform.vault_kv2_secret).
        type: bool
      delete_version_after:
        description: As in M(onprem.platform.vault_kv2_secret).
        type: str
      versions:
        description: As in M(onprem.platform.vault_kv2_secret).
        type: list
        elements: int
      engine_mount_point:
        description: As in M(onprem.platform.vault_kv2_secret).
        type: str
        default: kv
        aliases: [mount_path]
      state:
        description: As in M(onprem.platform.vault_kv2_secret).
        type: str
        choices: [present, deleted, undeleted, destroyed, absent]
        default: present
  database_connections:
    description:
      - Connections of database secrets engines.
      - Their options are those of M(onprem.platform.vault_database_connection), and mean the same.
    type: list
    elements: dict
    suboptions:
      name:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
        required: true
        aliases: [connection_name]
      engine_mount_point:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
        default: database
        aliases: [mount_path]
      plugin_name:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
      plugin_version:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
      allowed_roles:
        description: As in M(onprem.platform.vault_database_connection).
        type: list
        elements: str
      connection_url:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
      connection_username:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
      connection_password:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
      update_password:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
        choices: [on_create, always]
        default: on_create
      username_template:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
      password_policy:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
      root_rotation_statements:
        description: As in M(onprem.platform.vault_database_connection).
        type: list
        elements: str
      verify_connection:
        description: As in M(onprem.platform.vault_database_connection).
        type: bool
        default: true
      max_open_connections:
        description: As in M(onprem.platform.vault_database_connection).
        type: int
      max_idle_connections:
        description: As in M(onprem.platform.vault_database_connection).
        type: int
      max_connection_lifetime:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
      plugin_options:
        description: As in M(onprem.platform.vault_database_connection).
        type: dict
      plugin_secrets:
        description: As in M(onprem.platform.vault_database_connection).
        type: dict
      state:
        description: As in M(onprem.platform.vault_database_connection).
        type: str
        choices: [present, absent]
        default: present
  database_roles:
    description:
      - Roles of database secrets engines.
      - Their options are those of M(onprem.platform.vault_database_role), and mean the same.
    type: list
    elements: dict
    suboptions:
      name:
        description: As in M(onprem.platform.vault_database_role).
        type: str
        required: true
        aliases: [role_name]
      connection_name:
        description: As in M(onprem.platform.vault_database_role).
        type: str
        aliases: [db_name]
      creation_statements:
        description: As in M(onprem.platform.vault_database_role).
        type: list
        elements: str
      revocation_statements:
        description: As in M(onprem.platform.vault_database_role).
        type: list
        elements: str
      rollback_statements:
        description: As in M(onprem.platform.vault_database_role).
        type: list
        elements: str
      renew_statements:
        description: As in M(onprem.platform.vault_database_role).
        type: list
        elements: str
      default_ttl:
        description: As in M(onprem.platform.vault_database_role).
        type: str
      max_ttl:
        description: As in M(onprem.platform.vault_database_role).
        type: str
      credential_type:
        description: As in M(onprem.platform.vault_database_role).
        type: str
        choices: [password, rsa_private_key, client_certificate]
      credential_config:
        description: As in M(onprem.platform.vault_database_role).
        type: dict
      engine_mount_point:
        description: As in M(onprem.platform.vault_database_role).
        type: str
        default: database
        aliases: [mount_path]
      state:
        description: As in M(onprem.platform.vault_database_role).
        type: str
        choices: [present, absent]
        default: present
  database_static_roles:
    description:
      - Static roles of database secrets engines.
      - Their options are those of M(onprem.platform.vault_database_static_role), and mean the same.
    type: list
    elements: dict
    suboptions:
      name:
        description: As in M(onprem.platform.vault_database_static_role).
        type: str
        required: true
        aliases: [role_name]
      connection_name:
        description: As in M(onprem.platform.vault_database_static_role).
        type: str
        aliases: [db_name]
      database_username:
        description: As in M(onprem.platform.vault_database_static_role).
        type: str
      rotation_period:
        description: As in M(onprem.platform.vault_database_static_role).
        type: str
      rotation_schedule:
        description: As in M(onprem.platform.vault_database_static_role).
        type: str
      rotation_window:
        description: As in M(onprem.platform.vault_database_static_role).
        type: str
      rotation_statements:
        description: As in M(onprem.platform.vault_database_static_role).
        type: list
        elements: str
      credential_type:
        description: As in M(onprem.platform.vault_database_static_role).
        type: str
        choices: [password, rsa_private_key, client_certificate]
      credential_config:
        description: As in M(onprem.platform.vault_database_static_role).
        type: dict
      engine_mount_point:
        description: As in M(onprem.platform.vault_database_static_role).
        type: str
        default: database
        aliases: [mount_path]
      state:
        description: As in M(onprem.platform.vault_database_static_role).
        type: str
        choices: [present, absent]
        default: present
  database_root_rotations:
    description:
      - Connections whose password only Vault shall know.
      - Their options are those of M(onprem.platform.vault_database_rotate_root), and mean the same.
    type: list
    elements: dict
    suboptions:
      name:
        description: As in M(onprem.platform.vault_database_rotate_root).
        type: str
        required: true
        aliases: [connection_name]
      engine_mount_point:
        description: As in M(onprem.platform.vault_database_rotate_root).
        type: str
        default: database
        aliases: [mount_path]
      max_age:
        description: As in M(onprem.platform.vault_database_rotate_root).
        type: str
      force:
        description: As in M(onprem.platform.vault_database_rotate_root).
        type: bool
        default: false
seealso:
  - module: onprem.platform.vault_audit
  - module: onprem.platform.vault_mount
  - module: onprem.platform.vault_auth_method
  - module: onprem.platform.vault_policy
  - module: onprem.platform.vault_kubernetes_auth_config
  - module: onprem.platform.vault_kubernetes_role
  - module: onprem.platform.vault_kv2_secret
  - module: onprem.platform.vault_database_connection
  - module: onprem.platform.vault_database_role
  - module: onprem.platform.vault_database_rotate_root
"""

EXAMPLES = r"""
- name: Everything that the library's pods need
  onprem.platform.vault_configuration:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    audit_devices:
      - path: volume
        options:
          file_path: /vault/audit/audit.log
    mounts:
      - path: library-kv
        type: kv-v2
        description: Secrets of the library
      - path: library-database
        type: database
        max_lease_ttl: 24h
    auth_methods:
      - path: library
        type: kubernetes
    policies:
      - name: library
        policy: |
          path "library-kv/data/library" {
            capabilities = ["read"]
          }
          path "library-database/creds/library" {
            capabilities = ["read"]
          }
    kubernetes_auth_configs:
      - auth_path: library
        kubernetes_host: https://api.example.org:6443
        kubernetes_ca_cert: "{{ cluster_authority }}"
        token_reviewer_jwt: "{{ reviewer_token }}"
        disable_local_ca_jwt: true
    kubernetes_roles:
      - auth_path: library
        name: library
        bound_service_account_names: [library]
        bound_service_account_namespaces: [library]
        token_policies: [library]
        token_ttl: 24h
    kv2_secrets:
      - engine_mount_point: library-kv
        path: library
        method: add
        data:
          APP_KEY: "{{ lookup('ansible.builtin.password', '/dev/null', length=32) }}"
    database_connections:
      - engine_mount_point: library-database
        name: catalogue
        plugin_name: mysql-database-plugin
        connection_url: !unsafe "{{username}}:{{password}}@tcp(mariadb.library.svc:3306)/"
        connection_username: librarian
        connection_password: "{{ first_password }}"
        allowed_roles: [library]
        root_rotation_statements:
          - !unsafe "ALTER USER '{{username}}'@'%' IDENTIFIED BY '{{password}}'"
    database_roles:
      - engine_mount_point: library-database
        name: library
        connection_name: catalogue
        creation_statements:
          - !unsafe "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'"
          - !unsafe "GRANT SELECT, INSERT, UPDATE, DELETE ON library.* TO '{{name}}'@'%'"
        revocation_statements:
          - !unsafe "DROP USER IF EXISTS '{{name}}'@'%'"
        default_ttl: 1h
    database_root_rotations:
      - engine_mount_point: library-database
        name: catalogue

- name: Log in with a service account token, and with the root token before that works
  onprem.platform.vault_configuration:
    url: https://vault.example.org:8200
    auth_method: kubernetes
    role: ansible
    kubernetes_token_request:
      namespace: vault
      service_account: ansible
    auth_fallback: token
    token: "{{ vault_token }}"
    policies:
      - name: reader
        policy: path "kv/data/*" { capabilities = ["read"] }
"""

RETURN = r"""
auth_method:
  description: How the call logged in, O(auth_method) or O(auth_fallback).
  returned: success
  type: str
  sample: kubernetes
objects:
  description: What happened to each object, in the order of the sections and of their lists.
  returned: when all objects could be read
  type: list
  elements: dict
  contains:
    section:
      description: Option that names the object.
      type: str
      sample: policies
    name:
      description: Name or path of the object.
      type: str
      sample: library
    action:
      description: V(created), V(updated), V(deleted), V(undeleted), V(destroyed), V(unchanged), V(failed) or
        V(not_attempted).
      type: str
      sample: created
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [policy]
    engine_mount_point:
      description: Path of the secrets engine in which the object is.
      type: str
      returned: in C(kv2_secrets) and the sections of databases
      sample: kv
    auth_path:
      description: Path of the auth method in which the object is.
      type: str
      returned: in C(kubernetes_auth_configs) and C(kubernetes_roles)
      sample: kubernetes
    version:
      description: Latest version of the secret after the call; in check mode the one before.
      type: int
      returned: in C(kv2_secrets)
      sample: 1
    key_changes:
      description: What happens to each key of the secret, V(added), V(changed) or V(removed).
      type: dict
      returned: in C(kv2_secrets)
      sample: {APP_KEY: added}
    rotated_at:
      description: Time of the last rotation by this collection (RFC 3339, UTC); in check mode before the call.
      type: str
      returned: in C(database_root_rotations)
      sample: "2026-11-21T09:48:00Z"
    error:
      description: Why the write failed.
      type: str
      returned: on failure
      sample: Permission denied on sys/policies/acl/library.
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_configuration import PlanningClient, configuration_arguments, configure


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring the whole configuration about."""
    client = module.client()
    result = configure(PlanningClient(client), module.params, check_mode=module.check_mode)
    return {**result, "auth_method": client.auth_method}


def main() -> None:
    """Run the module."""
    run(configuration_arguments(), reconcile)


if __name__ == "__main__":
    main()
