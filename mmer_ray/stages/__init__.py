"""The stages: each takes windows and hands the same windows on, with one more answer in them."""
