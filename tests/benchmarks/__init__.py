"""Tests of the scripts that measure beside other tools."""
