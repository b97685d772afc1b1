package main

import "errors"

func runUser(args []string, std streams) int {
	return fail(std, errors.New("accounts come with the console"))
}
