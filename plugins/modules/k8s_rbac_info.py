#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_rbac_info
version_added: 0.1.0
short_description: Tell who may do what in a Kubernetes cluster
author: onprem.platform contributors (@onprem-platform)
description:
  - Asks the API server a whole matrix of questions of the form B(may this subject do that) in one call, by
    SubjectAccessReview, as C(kubectl auth can-i) does it one by one. So all authorizers of the cluster have their say.
  - Resolves roles and bindings to everything that a subject may do, aggregated cluster roles included. That is what
    RBAC allows; node authorizer and webhooks are not in it.
  - Resources are written as kubectl writes them, such as C(pods), C(pods/exec) or C(deployments.apps/scale).
options:
  reviews:
    description: Questions to ask, each block as the product of its lists.
    type: list
    elements: dict
    default: []
    suboptions:
      subjects:
        description: Who, each one with C(user), C(groups) or C(service_account).
        type: list
        elements: dict
        required: true
        suboptions:
          user:
            description: Name of a user.
            type: str
          groups:
            description: Groups of the user, or groups alone. Nothing is added to them.
            type: list
            elements: str
          service_account:
            description:
              - Service account as C(NAMESPACE/NAME), with the groups that its tokens have. C(NAMESPACE/*) are all of a
                namespace.
            type: str
      permissions:
        description: What.
        type: list
        elements: dict
        required: true
        suboptions:
          verbs:
            description: Verbs, such as C(get), or C(impersonate).
            type: list
            elements: str
            required: true
          resources:
            description: Resources. One of C(resources) and C(non_resource_urls) is needed.
            type: list
            elements: str
          names:
            description: Names of objects; unset asks about all.
            type: list
            elements: str
          non_resource_urls:
            description: Paths such as C(/metrics).
            type: list
            elements: str
      namespaces:
        description: Where, if it is about resources; an empty string is all namespaces, and objects that are in none.
        type: list
        elements: str
        default: [""]
      expected:
        description: The right answer to all questions of the block, for RV(wrong).
        type: bool
  subjects:
    description: Subjects whose permissions are returned as RV(subjects).
    type: list
    elements: dict
    default: []
    suboptions:
      user:
        description: Name of a user.
        type: str
      groups:
        description: Groups of the user, or groups alone. Nothing is added to them.
        type: list
        elements: str
      service_account:
        description:
          - Service account as C(NAMESPACE/NAME), with the groups that its tokens have. C(NAMESPACE/*) are all of a
            namespace.
        type: str
  gather:
    description:
      - What to return beside.
      - V(service_accounts) is every service account with its permissions and the workloads that mount its token.
      - V(users_and_groups) is every user and group with a binding that Kubernetes does not bring itself, and the groups
        V(system:authenticated), V(system:serviceaccounts) and V(system:unauthenticated).
      - V(powerful_roles) is every role with a wildcard or one of the verbs C(bind), C(escalate) and C(impersonate).
    type: list
    elements: str
    choices: [powerful_roles, service_accounts, users_and_groups]
    default: []
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.attributes
  - onprem.platform.attributes.k8s
  - onprem.platform.attributes.info
notes:
  - Needs the permission to create subjectaccessreviews, and for the rest to list roles, cluster roles and their
    bindings, and service accounts and pods.
"""

EXAMPLES = r"""
- name: Nobody in the namespace may read secrets or enter pods
  onprem.platform.k8s_rbac_info:
    reviews:
      - subjects:
          - service_account: default/default
          - groups: [system:authenticated]
        namespaces: [default, ""]
        permissions:
          - {verbs: [get, list, watch], resources: [secrets]}
          - {verbs: [create], resources: [pods/exec, pods/portforward]}
        expected: false
  register: access
  failed_when: access is failed or access.wrong | length > 0

- name: Who has wildcards?
  onprem.platform.k8s_rbac_info:
    gather: [powerful_roles]

- name: Everything that the administrators may do
  onprem.platform.k8s_rbac_info:
    subjects:
      - groups: [system:masters]
"""

RETURN = r"""
reviews:
  description: The answers, in the order of the questions.
  returned: success
  type: list
  elements: dict
  contains:
    subject:
      description: Who.
      type: str
      sample: ServiceAccount default/default
    verb:
      description: The verb.
      type: str
      sample: get
    resource:
      description: The resource; empty for a URL.
      type: str
      sample: secrets
    namespace:
      description: The namespace; empty for all, and for objects that are in none.
      type: str
      sample: default
    name:
      description: Name of the object; empty for all.
      type: str
      sample: ""
    non_resource_url:
      description: The path; empty for a resource.
      type: str
      sample: ""
    allowed:
      description: Whether they may.
      type: bool
      sample: false
    correct:
      description: Whether that is what was expected; true if nothing was.
      type: bool
      sample: true
    reason:
      description: What the API server says about it.
      type: str
      sample: ""
wrong:
  description: The answers that are not as expected.
  returned: success
  type: list
  elements: dict
  sample: []
subjects:
  description: The subjects that were asked for.
  returned: success
  type: list
  elements: dict
  contains:
    subject:
      description: Who.
      type: str
      sample: Group system:masters
    bindings:
      description: By which bindings.
      type: list
      elements: str
      sample: [ClusterRoleBinding cluster-admin -> ClusterRole cluster-admin]
    permissions:
      description: What they may do.
      type: dict
      contains:
        cluster:
          description: Everywhere, verbs by resource or URL.
          type: dict
          sample: {"*.*": ["*"], "*": ["*"]}
        namespaces:
          description: In single namespaces, verbs by resource by namespace.
          type: dict
          sample: {}
service_accounts:
  description: Every service account.
  returned: if asked for with O(gather)
  type: list
  elements: dict
  contains:
    namespace:
      description: Its namespace.
      type: str
      sample: kube-system
    name:
      description: Its name.
      type: str
      sample: coredns
    automount:
      description: Whether pods that say nothing about it get a token.
      type: bool
      sample: true
    token_mounted_by:
      description: Workloads whose pods have a token of it mounted where clients of the API look for it.
      type: list
      elements: str
      sample: [Deployment coredns]
    built_in:
      description:
        - Whether it is in C(kube-system) and all its bindings are Kubernetes' own, which the API server restores at its
          start.
      type: bool
      sample: false
    bindings:
      description: The bindings that concern it, without those of all service accounts.
      type: list
      elements: str
      sample: ["ClusterRoleBinding system:coredns -> ClusterRole system:coredns"]
    permissions:
      description: What they allow, as in RV(subjects[].permissions).
      type: dict
      sample: {cluster: {pods: [list, watch]}, namespaces: {}}
users_and_groups:
  description: Users and groups, as in RV(subjects).
  returned: if asked for with O(gather)
  type: list
  elements: dict
  sample: []
powerful_roles:
  description: Roles with a wildcard or a verb by which one can get more rights.
  returned: if asked for with O(gather)
  type: list
  elements: dict
  contains:
    role:
      description: Kind, namespace and name.
      type: str
      sample: ClusterRole cluster-admin
    powers:
      description: What is in it.
      type: list
      elements: str
      sample: [wildcard API group, wildcard URL, wildcard resource, wildcard verb]
    subjects:
      description: Who has it, by any binding.
      type: list
      elements: str
      sample: ["Group system:masters"]
requests:
  description: Requests sent to the API server.
  returned: always
  type: int
  sample: 12
failure:
  description: Code, reason and message of the error.
  returned: failure
  type: dict
  contains:
    code:
      description: HTTP status, 0 if no answer was involved.
      type: int
      sample: 403
    reason:
      description: The machine-readable word for the error.
      type: str
      sample: Forbidden
    message:
      description: The error's message.
      type: str
      sample: subjectaccessreviews.authorization.k8s.io is forbidden
"""

from typing import Any

from ..module_utils._access_review import ask, questions
from ..module_utils._kube_errors import KubeConfigError
from ..module_utils._kube_module import KubeModule
from ..module_utils._kube_rbac import COMMON_GROUPS, Rbac, ServiceAccounts, Subject, permissions

_SUBJECT = {
    "options": {
        "user": {"type": "str"},
        "groups": {"type": "list", "elements": "str"},
        "service_account": {"type": "str"},
    },
    "required_one_of": [("user", "groups", "service_account")],
    "mutually_exclusive": [("user", "service_account"), ("groups", "service_account")],
}
_PERMISSION = {
    "options": {
        "verbs": {"type": "list", "elements": "str", "required": True},
        "resources": {"type": "list", "elements": "str"},
        "names": {"type": "list", "elements": "str"},
        "non_resource_urls": {"type": "list", "elements": "str"},
    },
    "required_one_of": [("resources", "non_resource_urls")],
    "mutually_exclusive": [("names", "non_resource_urls")],
}
_REVIEW = {
    "subjects": {"type": "list", "elements": "dict", "required": True, **_SUBJECT},
    "permissions": {"type": "list", "elements": "dict", "required": True, **_PERMISSION},
    "namespaces": {"type": "list", "elements": "str", "default": [""]},
    "expected": {"type": "bool"},
}


class Reader:
    """Reads roles, bindings and service accounts once, and only if something needs them."""

    def __init__(self, module: KubeModule) -> None:
        self._module = module
        self._rbac: Rbac | None = None
        self._accounts: ServiceAccounts | None = None

    @property
    def rbac(self) -> Rbac:
        """Roles and bindings; raises KubeError."""
        self._rbac = self._rbac or Rbac.read(self._module.client)
        return self._rbac

    @property
    def accounts(self) -> ServiceAccounts:
        """Service accounts and who uses them; raises KubeError."""
        self._accounts = self._accounts or ServiceAccounts.read(self._module.client)
        return self._accounts

    def subjects(self, options: list[dict[str, Any]]) -> list[Subject]:
        """Return the subjects of options; raises KubeError."""
        found = []
        for option in options:
            if option["service_account"] is None:
                found.append(Subject(option["user"] or "", tuple(option["groups"] or ())))
                continue
            namespace, slash, name = option["service_account"].partition("/")
            if not (namespace and slash and name) or "/" in name:
                raise KubeConfigError(f"{option['service_account']!r} is no service account", "Write NAMESPACE/NAME.")
            names = self.accounts.names(namespace) if name == "*" else [name]
            found += [Subject.service_account(namespace, item) for item in names]
        return found

    def describe(self, subjects: list[Subject]) -> list[dict[str, Any]]:
        """Return what subjects may do by all their bindings."""
        found = []
        for subject in subjects:
            bindings = self.rbac.bindings_of(subject)
            names = sorted(str(binding) for binding in bindings)
            found.append({"subject": str(subject), "bindings": names, "permissions": permissions(bindings)})
        return found

    def users_and_groups(self) -> list[Subject]:
        """Return who has a binding that is not Kubernetes' own, and the groups of everybody."""
        names = {*self.rbac.people(), *(f"Group {group}" for group in (*COMMON_GROUPS, "system:unauthenticated"))}
        split = [name.split(" ", 1) for name in sorted(names)]
        return [Subject(name) if kind == "User" else Subject("", (name,)) for kind, name in split]


def work(module: KubeModule) -> dict[str, Any]:
    """Ask and gather; raises KubeError."""
    params, reader = module.params, Reader(module)
    asked = [item for review in params["reviews"] for item in questions(review, reader.subjects(review["subjects"]))]
    answers = ask(module.client, asked)
    result: dict[str, Any] = {
        "changed": False,
        "reviews": answers,
        "wrong": [answer for answer in answers if not answer["correct"]],
        "subjects": reader.describe(reader.subjects(params["subjects"])),
    }
    if "service_accounts" in params["gather"]:
        result["service_accounts"] = reader.accounts.describe(reader.rbac)
    if "users_and_groups" in params["gather"]:
        result["users_and_groups"] = reader.describe(reader.users_and_groups())
    if "powerful_roles" in params["gather"]:
        result["powerful_roles"] = reader.rbac.powerful_roles()
    result["requests"] = module.request_counts()["requests"]
    return result


def main() -> None:
    """Entry point of the module."""
    KubeModule(
        argument_spec={
            "reviews": {"type": "list", "elements": "dict", "default": [], "options": _REVIEW},
            "subjects": {"type": "list", "elements": "dict", "default": [], **_SUBJECT},
            "gather": {
                "type": "list",
                "elements": "str",
                "choices": ["powerful_roles", "service_accounts", "users_and_groups"],
                "default": [],
            },
        },
    ).run(work)


if __name__ == "__main__":
    main()
