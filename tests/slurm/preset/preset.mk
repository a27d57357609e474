# So few problems may all be solved, or none: that is no error here, where figures mean nothing.
ONE_CLASS ?= 1
