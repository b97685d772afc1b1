package dnssec

// HexEncoding is shown to the tests only.
var HexEncoding = hexEncoding

// MaxProblems is shown to the tests only.
const MaxProblems = maxProblems
