"""The doors to the pipeline. Only modules in here import Ray."""
