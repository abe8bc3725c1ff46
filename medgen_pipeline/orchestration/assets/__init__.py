"""The software-defined assets, made from the catalog; facts about tables stay there."""
