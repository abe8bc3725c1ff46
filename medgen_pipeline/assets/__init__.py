"""The software-defined assets. ``tables`` makes one per table of the catalog; facts about tables stay in the catalog."""
