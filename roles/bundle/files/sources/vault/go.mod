module onprem.platform/bundle/vault

go 1.25.3

require github.com/hashicorp/vault v1.21.4
replace github.com/hashicorp/vault/api => github.com/hashicorp/vault/api v1.22.0
replace github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v0.21.0
replace github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3
replace github.com/ma314smith/signedxml v1.1.1 => github.com/moov-io/signedxml v1.1.1
replace github.com/hashicorp/vault => ./src
