"""Which IP addresses belong to hosts on the public internet.

Python's `is_global` of 3.11 calls several blocks global that are not: those that carry an IPv4 address inside an IPv6
one, multicast, site-local addresses, and blocks set aside since. The lists are IANA's special-purpose registries
(2024-10), and one address that a cloud gives to its own machines.
"""

from __future__ import annotations

import ipaddress

_NOT_PUBLIC_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's services for the machine that asks
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given out for hosts. Outside lie loopback, mapped and compatible IPv4 addresses, 64:ff9b::/96 and
64:ff9b:1::/48 (which lead to IPv4 addresses), 100::/64, 5f00::/16, fc00::/7, fe80::/10, fec0::/10 and multicast."""
_NOT_PUBLIC_6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # Teredo, which leads to IPv4 addresses, and other protocols' blocks
            "2001:db8::/32",
            "2002::/16",  # 6to4, which leads to IPv4 addresses
            "2620:4f:8000::/48",
            "3fff::/20",
        ),
    )
)


def is_public(address: str) -> bool:
    """Whether a numeric address is that of a public host; False for what is no address, or has a zone.

    >>> is_public("8.8.8.8"), is_public("169.254.169.254"), is_public("::ffff:8.8.8.8"), is_public("fe80::1%eth0")
    (True, False, False, False)
    """
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(number, ipaddress.IPv4Address):
        return number.is_global and not any(number in block for block in _NOT_PUBLIC_4)
    is_unicast = number.scope_id is None and number in _UNICAST_6
    return is_unicast and number.is_global and not any(number in block for block in _NOT_PUBLIC_6)
