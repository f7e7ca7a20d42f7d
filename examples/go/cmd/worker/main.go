// Command worker shows a second process type: it writes a line every ten seconds.
package main

import (
	"log"
	"time"
)

func main() {
	for range time.Tick(10 * time.Second) {
		log.Print("still here")
	}
}
