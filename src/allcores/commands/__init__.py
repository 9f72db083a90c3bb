"""The commands of `allcores`, one file each."""
