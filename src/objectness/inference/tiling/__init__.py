"""Images of any size: computed in tiles, selected once over the whole image, at one or several scales."""
