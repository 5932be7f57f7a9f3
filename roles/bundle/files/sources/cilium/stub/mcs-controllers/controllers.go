// Package controllers replaces sigs.k8s.io/mcs-api/controllers: Cilium's programs use this one constant of it.
package controllers

const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"
