module rectify/tests/conform/cel_oracle

go 1.23

require cel.dev/cel-go v0.33.2
