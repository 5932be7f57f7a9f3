{{- /*
Copyright: (c) 2026, onprem.platform contributors
SPDX-License-Identifier: GPL-3.0-or-later
*/ -}}
{{- range $component := ternary (list "app" "nginx" "worker") (list "app" "nginx") .Values.worker.enabled }}
{{- $scaling := (index $.Values $component).autoscaling }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $.Release.Name }}-{{ $component }}
  labels: {{- include "laravel.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ $component }}
spec:
  maxUnavailable: 1
  # A pod that is broken anyway must not keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "laravel.selector" $ | nindent 6 }}
      app.kubernetes.io/component: {{ $component }}
{{- if $scaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $.Release.Name }}-{{ $component }}
  labels: {{- include "laravel.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ $component }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $.Release.Name }}-{{ $component }}}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    # Of the component's own container: the agent beside it would blur the figure.
    {{- range $resource := list "cpu" "memory" }}
    {{- with index $scaling $resource }}
    - type: ContainerResource
      containerResource:
        name: {{ $resource }}
        container: {{ $component }}
        target: {type: Utilization, averageUtilization: {{ . }}}
    {{- end }}
    {{- end }}
{{- end }}
{{- end }}
