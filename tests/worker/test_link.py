"""What `--link` accepts, and that every mistake is one line that names it."""

from __future__ import annotations

import pytest

from corten.endpoint.error import CortenError
from corten.worker.link import Link, parse_cpus, parse_link


def test_the_shortest_link() -> None:
    link = parse_link("tap,address=10.0.2.2/24")
    assert (link.driver, link.name, link.addresses) == ("tap", "", ["10.0.2.2/24"])
    assert link.hosts == ["10.0.2.1/24"]
    assert (link.mtu, link.gateways, link.workers, link.cpus, link.offload) == (
        0,
        [],
        0,
        [],
        True,
    )


def test_every_option() -> None:
    link = parse_link(
        "tap:corten0,address=10.0.2.2/24,address=10.0.3.2/24,host=10.0.2.9,mtu=9000,gateway=10.0.2.1,"
        "mac=02-00-00-00-00-0A,arp=10.0.2.7=02:00:00:00:00:07,arp=10.0.3.7=02:00:00:00:00:08,"
        "workers=2,cpus=0-1+4,offload=off"
    )
    assert link == Link(
        driver="tap",
        name="corten0",
        addresses=["10.0.2.2/24", "10.0.3.2/24"],
        hosts=["10.0.2.9/24"],
        asks_host=True,
        mtu=9000,
        gateways=["10.0.2.1"],
        mac="02:00:00:00:00:0a",
        neighbours={"10.0.2.7": "02:00:00:00:00:07", "10.0.3.7": "02:00:00:00:00:08"},
        workers=2,
        cpus=[0, 1, 4],
        offload=False,
    )


def test_the_host_takes_the_first_other_address() -> None:
    assert parse_link("tap,address=10.0.2.1/24").hosts == ["10.0.2.2/24"]
    assert parse_link("tap,address=10.0.2.1/31").hosts == ["10.0.2.0/31"]
    assert parse_link("tap,address=10.0.2.1/30,address=10.0.2.2/30,host=none").hosts == []
    assert parse_link("tap,address=10.0.2.2/24,host=10.0.2.77/16").hosts == ["10.0.2.77/16"]


def test_prefixes() -> None:
    link = parse_link(
        "tap,address=10.0.2.2/24,address=fd00::2/64,prefix=10.9.0.0/16,prefix=fd09::/64"
    )
    assert link.prefixes == ["10.9.0.0/16", "fd09::/64"]
    assert link.hosts == ["10.0.2.1/24", "fd00::1/64"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("prefix=10.9.0.1/16", "prefix=10.9.0.1/16: is no prefix"),
        ("prefix=10.9.0.0/16,prefix=10.9.0.0/16", "is given twice"),
        ("prefix=10.0.0.0/8", "overlaps the subnet of address=10.0.2.2/24"),
        ("prefix=fd09::/64", "an IPv6 address= is needed beside it"),
        ("prefix=16.0.0.0/4", "is wider than one host can have"),
        ("prefix=fd00::/8", "is wider than one host can have"),
        ("prefix=0.1.0.0/16", "holds addresses that no host can have"),
        ("prefix=127.0.0.0/8", "holds addresses that no host can have"),
        ("prefix=224.0.0.0/8", "holds addresses that no host can have"),
        ("prefix=240.0.0.0/8", "holds addresses that no host can have"),
        ("prefix=::/64", "holds addresses that no host can have"),
        ("prefix=fe80::/64", "holds addresses that no host can have"),
        ("prefix=ff05::/64", "holds addresses that no host can have"),
        ("prefix=169.254.0.0/16", "holds addresses that no host can have"),
        ("prefix=10.9.0.0/16,host=10.9.0.1/24", "host=10.9.0.1/24: lies in prefix=10.9.0.0/16"),
    ],
)
def test_a_prefix_that_cannot_be_is_refused(options: str, words: str) -> None:
    with pytest.raises(CortenError, match=words):
        parse_link(f"tap,address=10.0.2.2/24,{options}")


@pytest.mark.parametrize("driver", ["xdp:eth1", "kernel"])
def test_a_link_that_takes_addresses_one_by_one_has_no_prefix(driver: str) -> None:
    with pytest.raises(CortenError, match=r"one by one|has no prefix"):
        parse_link(f"{driver},address=10.0.2.2/24,prefix=10.9.0.0/16")


def test_both_families_on_one_link() -> None:
    link = parse_link(
        "tap,address=10.0.2.2/24,address=fe80::2/64,address=fd00::2/64,address=fd01::2/64,"
        "gateway=fe80::9,gateway=10.0.2.9,neighbour=fe80::9=02:00:00:00:00:09"
    )
    assert link.hosts == ["10.0.2.1/24", "fd00::1/64"]
    assert link.gateways == ["fe80::9", "10.0.2.9"]
    assert link.neighbours == {"fe80::9": "02:00:00:00:00:09"}
    assert parse_link("tap,address=fd00::1/64").hosts == ["fd00::2/64"]
    assert parse_link("tap,address=fe80::1/64").hosts == []
    both = parse_link("tap,address=10.0.2.2/24,address=fd00::2/64,host=fd00::9,host=10.0.2.9/16")
    assert both.hosts == ["fd00::9/64", "10.0.2.9/16"]
    assert parse_link("kernel,address=::1").addresses == ["::1"]


def test_the_hardware_address_is_local_unicast_and_stable() -> None:
    one, same, other = (parse_link(f"tap:t,address=10.0.2.{i}/24").made_mac() for i in (2, 2, 3))
    assert one == same != other
    assert int(one[:2], 16) & 3 == 2


def test_a_kernel_link() -> None:
    link = parse_link("kernel,address=127.0.0.1,workers=2")
    assert (link.driver, link.addresses, link.workers) == ("kernel", ["127.0.0.1"], 2)
    assert parse_link("kernel,address=0.0.0.0").addresses == ["0.0.0.0"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no driver ''"),
        ("tin,address=10.0.0.2/24", "no driver 'tin'"),
        ("tap", "address is missing"),
        ("tap:", "name is missing"),
        ("tap:,address=10.0.0.2/24", "name is missing"),
        ("tap:a b,address=10.0.0.2/24", "no space"),
        ("tap:a/b,address=10.0.0.2/24", "no space, slash"),
        ("tap:c%d,address=10.0.0.2/24", "percent"),
        ("tap:..,address=10.0.0.2/24", "device's name"),
        ("tap:sixteenletters00,address=10.0.0.2/24", "longer than 15"),
        ("tap,adress=10.0.0.2/24", "no option 'adress'"),
        ("tap,address=10.0.0.2/24,", "no option ''"),
        ("tap,address", "needs a value"),
        ("tap,address=", "needs a value"),
        ("tap,address=10.0.0.2", "prefix length is missing"),
        ("tap,address=10.0.0/24", "no IP address"),
        ("tap,address=10.0.0.2/33", "no IP address"),
        ("tap,address=fd00::2/129", "no IP address"),
        ("tap,address=fe80::2%eth0/64", "no IP address"),
        ("tap,address=ff02::2/64", "one host's"),
        ("tap,address=::1/128", "one host's"),
        ("tap,address=::/64", "one host's"),
        ("tap,address=::ffff:10.0.0.2/96", "one host's"),
        ("tap,address=fd00::2/64,mtu=1279", "IPv6 needs 1280"),
        ("tap,address=fd00::2/128", "no address is left"),
        ("tap,address=fd00::2/64,host=10.0.0.1", "has no IPv4 address"),
        ("tap,address=fd00::2/64,host=fd00::3,host=fd00::4", "given twice"),
        ("tap,address=fd00::2/64,gateway=10.0.0.1", "none of the link's subnets"),
        ("tap,address=10.0.0.2/24,gateway=fe80::1", "none of the link's subnets"),
        ("tap,address=fd00::2/64,gateway=fd00::1,gateway=fe80::1", "given twice"),
        ("tap,address=fd00::2/64,neighbour=fd00:1::3=02:00:00:00:00:01", "none of the link's"),
        ("tap,address=10.0.0.0/24", "network's or the broadcast"),
        ("tap,address=10.0.0.255/24", "network's or the broadcast"),
        ("tap,address=224.0.0.1/24", "one host's"),
        ("tap,address=127.0.0.1/8", "one host's"),
        ("tap,address=0.0.0.0/0", "one host's"),
        ("tap,address=10.0.0.2/24,address=10.0.0.2/16", "given twice"),
        ("tap,address=10.0.0.2/32", "no address is left"),
        ("tap,address=10.0.0.2/24,host=10.0.0.2", "stack's own"),
        ("tap,address=10.0.0.2/24,host=x", "host=x: x is no IP"),
        ("tap,address=10.0.0.2/24,host=10.0.0.255", "broadcast"),
        ("tap,address=10.0.0.2/24,host=none,host=none", "given twice"),
        ("tap,address=10.0.0.2/24,mtu=575", "576 to 65521"),
        ("tap,address=10.0.0.2/24,mtu=65522", "576 to 65521"),
        ("tap,address=10.0.0.2/24,mtu=big", "a number"),
        ("tap,address=10.0.0.2/24,mtu=-1500", "a number"),
        ("tap,address=10.0.0.2/24,mtu=1500,mtu=1500", "given twice"),
        ("tap,address=10.0.0.2/24,gateway=10.0.1.1", "none of the link's subnets"),
        ("tap,address=10.0.0.2/24,gateway=10.0.0.2", "stack's own address"),
        ("tap,address=10.0.0.2/24,gateway=router", "no IP address"),
        ("tap,address=10.0.0.2/24,mac=02:00:00:00:00", "no hardware address"),
        ("tap,address=10.0.0.2/24,mac=01:00:00:00:00:01", "one station's"),
        ("tap,address=10.0.0.2/24,mac=00:00:00:00:00:00", "one station's"),
        ("tap,address=10.0.0.2/24,arp=10.0.0.3", "written neighbour=IP=MAC"),
        ("tap,address=10.0.0.2/24,arp=x=02:00:00:00:00:01", "x is no IP"),
        ("tap,address=10.0.0.2/24,arp=10.0.0.3=x", "no hardware address"),
        ("tap,address=10.0.0.2/24,arp=10.0.1.3=02:00:00:00:00:01", "none of the link's"),
        (
            "tap,address=10.0.0.2/24,arp=10.0.0.3=02:00:00:00:00:01,arp=10.0.0.3=02:00:00:00:00:02",
            "given twice",
        ),
        ("tap,address=10.0.0.2/24,workers=0", "1 to 64"),
        ("tap,address=10.0.0.2/24,workers=65", "1 to 64"),
        ("tap,address=10.0.0.2/24,cpus=a", "processors are written"),
        ("tap,address=10.0.0.2/24,cpus=3-1", "is empty"),
        ("tap,address=10.0.0.2/24,cpus=1-", "processors are written"),
        ("tap,address=10.0.0.2/24,workers=3,cpus=0-1", "3 workers but 2 processors"),
        ("tap,address=10.0.0.2/24,offload=yes", "on or off"),
        ("kernel:lo,address=127.0.0.1", "has no name"),
        ("kernel,address=127.0.0.1,mtu=1500", "has no mtu"),
        ("kernel,address=127.0.0.1,host=none", "has no host"),
        ("kernel", "address is missing"),
        ("kernel,address=slaac", "hears no routers"),
        ("tun,address=slaac", "hears no routers"),
        ("tap,address=slaac,address=slaac", "given twice"),
        ("tap,address=slaac,mtu=1000", "IPv6 needs 1280"),
        ("tap,address=10.0.0.2/24,stable=key", "address=slaac"),
        ("tap,address=10.0.0.2/24,dad=maybe", "on, optimistic or off"),
        ("tap,address=10.0.0.2/24,acd=maybe", "on or off"),
        ("kernel,address=localhost", "no IP address"),
        ("packet,address=10.0.0.2/24", "write packet:NAME"),
        ("packet:a,address=10.0.0.2/24,host=10.0.0.1", "configured elsewhere"),
        ("packet:a,address=10.0.0.2/24,silence=yes", "is auto, on or off"),
        ("packet:a,address=10.0.0.2/24,qdisc=off", "is on or bypass"),
        ("packet:a,address=10.0.0.2/24,ring=0", "a number from 1 to 256"),
        ("tap,address=10.0.0.2/24,ring=8", "no option 'ring'"),
    ],
)
def test_every_mistake_is_one_line(text: str, says: str) -> None:
    with pytest.raises(CortenError) as caught:
        parse_link(text)
    message = str(caught.value)
    assert says in message
    assert repr(text) in message
    assert "\n" not in message


def test_a_link_on_a_device_of_the_kernels() -> None:
    link = parse_link("packet:eth0,address=10.0.2.2/24,silence=on,qdisc=bypass,ring=16")
    assert (link.driver, link.name, link.mtu, link.hosts) == ("packet", "eth0", 0, [])
    assert link.options == {"silence": "on", "qdisc": "bypass", "ring": 16}
    assert parse_link("packet:eth0,address=10.0.2.2/24").options == {}


def test_a_link_that_configures_itself() -> None:
    link = parse_link("tap:six,address=slaac,stable=a key,dad=on,acd=on")
    assert (link.slaac, link.stable, link.dad, link.acd) == (True, "a key", "on", True)
    assert link.addresses == link.hosts == [] and link.made_mac().startswith("02:")
    both = parse_link("tap,address=10.0.0.2/24,address=slaac")
    assert (both.slaac, both.hosts, both.dad, both.acd) == (
        True,
        ["10.0.0.1/24"],
        "optimistic",
        False,
    )


def test_processors() -> None:
    assert parse_cpus("0") == [0]
    assert parse_cpus("0-2,5") == [0, 1, 2, 5]
    assert parse_cpus("1+1+0-1") == [1, 0]


@pytest.mark.parametrize("driver", ["tap", "tun"])
def test_who_chooses_the_queue_is_an_option_of_tap_and_tun(driver: str) -> None:
    link = parse_link(f"{driver},address=10.0.0.2/24,steering=learnt")
    assert link.options == {"steering": "learnt"}
    with pytest.raises(CortenError, match="steering=magic: is auto, program or learnt"):
        parse_link(f"{driver},address=10.0.0.2/24,steering=magic")
    with pytest.raises(CortenError, match="no option 'steering'"):
        parse_link("kernel,address=127.0.0.1,steering=auto")
