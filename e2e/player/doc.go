// Package player has a test that shows casts to asciinema-player, which is what
// web pages play them with, in a real browser. install.sh installs both; where
// that was not called the test is skipped.
package player
