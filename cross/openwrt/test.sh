#!/bin/sh
# Run by the feed's CI on every processor, under emulation: the package's name is $1, its version $2.

case "$1" in
keepalite) ;;
*) exit 0 ;;
esac

keepalite --version 2>&1 | grep -F "$2" || exit 1

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cat >"$dir/good.conf" <<'CONF'
vrrp_instance LAN {
    interface lo
    virtual_router_id 51
    virtual_ipaddress {
        192.0.2.1/24
    }
}
CONF
keepalite -t -f "$dir/good.conf" || exit 1

# A wrong line is refused, and told by its place.
sed 's/virtual_router_id/virtual_routr_id/' "$dir/good.conf" >"$dir/bad.conf"
keepalite -t -f "$dir/bad.conf" >"$dir/said" 2>&1 && exit 1
grep -F "did you mean 'virtual_router_id'?" "$dir/said" || exit 1

cat >"$dir/uci" <<'UCI'
config vrrp_instance 'LAN'
	option interface 'lo'
	option virtual_router_id '51'
	option nopreempt '0'
UCI
keepalite uci "$dir/uci" >"$dir/uci.conf" || exit 1
grep -F 'vrrp_instance LAN {' "$dir/uci.conf" || exit 1
grep -F nopreempt "$dir/uci.conf" && exit 1
exit 0
