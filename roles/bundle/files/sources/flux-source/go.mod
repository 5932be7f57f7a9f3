module onprem.platform/bundle/flux-source

go 1.26.0

require github.com/fluxcd/source-controller v1.9.6
replace github.com/opencontainers/go-digest => github.com/opencontainers/go-digest v1.0.1-0.20220411205349-bde1400a84be
replace github.com/fluxcd/source-controller/api => github.com/fluxcd/source-controller/api v1.9.5
replace github.com/fluxcd/pkg/artifact => github.com/fluxcd/pkg/artifact v0.4.0
replace github.com/fluxcd/pkg/sourceignore => github.com/fluxcd/pkg/sourceignore v0.15.0
replace github.com/fluxcd/pkg/helmtestserver => ./stub/helmtestserver
