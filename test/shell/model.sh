#!/bin/sh
# The protocol's model, checked exhaustively, and its mutants, which must fail.
exec sh "$(dirname "$0")/../../model/run"
