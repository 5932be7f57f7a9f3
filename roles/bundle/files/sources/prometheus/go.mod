module onprem.platform/bundle/prometheus

go 1.26.0

require github.com/prometheus/prometheus v0.315.0
replace cloud.google.com/go => cloud.google.com/go v0.123.0
exclude github.com/linode/linodego v1.0.0
exclude github.com/grpc-ecosystem/grpc-gateway v1.14.7
exclude google.golang.org/api v0.30.0
