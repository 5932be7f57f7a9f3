module onprem.platform/bundle/cilium

go 1.26.0

require github.com/cilium/cilium v1.20.2

replace sigs.k8s.io/controller-tools => github.com/cilium/controller-tools v0.21.0-1
replace github.com/cilium/statedb => github.com/cilium/statedb v0.8.3
replace github.com/osrg/gobgp/v4 => github.com/osrg/gobgp/v4 v4.8.0
replace sigs.k8s.io/mcs-api/controllers => ./stub/mcs-controllers
