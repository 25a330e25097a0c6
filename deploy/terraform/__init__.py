"""Terraform files, and what writes the part of them that is made from code."""
