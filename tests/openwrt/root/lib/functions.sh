# Stands in for OpenWrt's: as much of it as the package's scripts call, for files as `uci export` writes them.

# config_load PACKAGE
config_load() {
	local word name value section kind

	_sections=
	_count=0
	[ -f "/etc/config/$1" ] || return 1
	while read -r word name value; do
		name=$(_plain "$name")
		value=$(_plain "$value")
		case "$word" in
		config)
			kind=$name
			section=${value:-cfg$_count}
			_count=$((_count + 1))
			_sections="$_sections $kind:$section"
			eval "_${section}_names="
			;;
		option) eval "_${section}_$name=\$value" ;;
		list) eval "_${section}_$name=\"\${_${section}_$name:+\$_${section}_$name }\$value\"" ;;
		esac
	done <"/etc/config/$1"
}

_plain() {
	local text=${1#[\'\"]}

	printf %s "${text%[\'\"]}"
}

# config_get VARIABLE SECTION OPTION [DEFAULT]
config_get() {
	eval "$1=\${_$2_$3:-\$4}"
}

config_get_bool() {
	local value

	config_get value "$2" "$3" "$4"
	case "$value" in
	1 | on | true | yes | enabled) eval "$1=1" ;;
	0 | off | false | no | disabled) eval "$1=0" ;;
	*) eval "$1=\$4" ;;
	esac
}

# config_foreach FUNCTION KIND [ARGUMENT…]
config_foreach() {
	local function=$1 kind=$2 entry
	shift 2

	for entry in $_sections; do
		[ "${entry%%:*}" = "$kind" ] && "$function" "${entry#*:}" "$@"
	done
}

default_postinst() { echo "$1 enabled" >>/run/opkg; }
default_prerm() { echo "$1 disabled" >>/run/opkg; }
