"""The demonstration: a relay process, three device processes, and a judge that trusts none of them."""
