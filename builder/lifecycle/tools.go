//go:build tools

// Package tools names what forge compiles when the lifecycle's release archive cannot be had.
package tools

import (
	_ "github.com/buildpacks/lifecycle/cmd/launcher"
	_ "github.com/buildpacks/lifecycle/cmd/lifecycle"
)
