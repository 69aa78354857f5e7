"""The runners of the pipeline: in this process, or on Ray. Only modules in here import Ray."""
