"""The speaker model: a ResNet that turns speech into a speaker embedding; the small one comes with the package."""
