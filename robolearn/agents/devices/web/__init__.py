"""The page by which a person drives from a browser: in a headset, on a phone, at a desk."""
