module rectify/bench/peers/quamina

go 1.22

require quamina.net/go/quamina v1.4.0

// The proxy serves the module under the name of its repository.
replace quamina.net/go/quamina => github.com/timbray/quamina v1.4.0
