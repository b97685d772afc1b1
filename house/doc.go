// Package house holds no code: its tests keep the rules of the house that a sentence could not.
package house
