#!/bin/bash
# make vm-test: paasd on a machine of its own, a virtual one with Debian 12, systemd and cgroup v2 alone.
# Makes a disk image with this checkout, boots it twice (guest.sh), prints what the guest printed.
# Needs root, mmdebstrap, qemu and mke2fs; emulates without KVM: about ten minutes.
#   run.sh PACKAGE...      what the guest has besides a minimal system
#   VM_ACCEL=kvm           where the host can
#   VM_KEEP=1              keep build/vm/disk.img afterwards
set -eu
cd "$(dirname "$0")/../.."
dir=$PWD/build/vm
accel=${VM_ACCEL:-tcg,thread=multi}
system=systemd,systemd-sysv,dbus,libpam-systemd,udev,kmod,linux-image-cloud-amd64,initramfs-tools,openssh-server,python3
packages=$(printf ',%s' "$@")

[ "$(id -u)" = 0 ] || { echo "vm-test needs root: it makes a disk image" >&2; exit 1; }
sources=/etc/apt/sources.list.d/debian.sources
[ -e $sources ] || sources=/etc/apt/sources.list
mkdir -p "$dir"

# The base system is kept; remove build/vm to have it made anew.
if [ "$(cat "$dir/base.packages" 2>/dev/null)" != "$system$packages" ]; then
	echo "vm-test: making a base system"
	rm -rf "$dir/base"
	# As make deps-addons has it: neither a cluster nor a server of Debian's own. $1 is the of the hooks.
	# shellcheck disable=SC2016
	mmdebstrap --quiet --variant=minbase \
		--essential-hook='mkdir -p "$1/etc/postgresql-common" && echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"' \
		--customize-hook='chroot "$1" systemctl disable redis-server' --include="$system$packages" bookworm "$dir/base" - <$sources >"$dir/base.log" 2>&1 ||
		{ cat "$dir/base.log" >&2; exit 1; }
	echo "$system$packages" >"$dir/base.packages"
fi

rm -rf "$dir/base/root/paasd" "$dir/disk.img"
mkdir -p "$dir/base/root/paasd/build"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -pt "$dir/base/root/paasd" --
find build -maxdepth 1 ! -name vm ! -name build -exec cp -Rpt "$dir/base/root/paasd/build" -- {} +

# name, contents: what an installer would have written
put() { mkdir -p "$(dirname "$dir/base/$1")" && printf '%s\n' "${@:2}" >"$dir/base/$1"; }
put etc/hostname vm
put etc/hosts '127.0.0.1 localhost vm'
put etc/fstab '/dev/vda / ext4 rw,relatime 0 1'
rm -f "$dir/base/etc/resolv.conf"
put etc/resolv.conf 'nameserver 10.0.2.3'
put etc/systemd/network/80-dhcp.network '[Match]' 'Name=en* eth*' '[Network]' 'DHCP=yes'
put etc/systemd/system/vm-test.service '[Unit]' 'After=multi-user.target systemd-networkd-wait-online.service' \
	'[Service]' 'ExecStart=/bin/bash /root/paasd/tests/vm/guest.sh' 'StandardInput=null' \
	'StandardOutput=file:/dev/ttyS1' 'StandardError=inherit' 'KillMode=process'
for link in multi-user.target.wants/vm-test.service:/etc/systemd/system/vm-test.service \
	multi-user.target.wants/systemd-networkd.service:/lib/systemd/system/systemd-networkd.service \
	serial-getty@ttyS1.service:/dev/null; do
	mkdir -p "$(dirname "$dir/base/etc/systemd/system/${link%%:*}")"
	ln -sfn "${link#*:}" "$dir/base/etc/systemd/system/${link%%:*}"
done
mke2fs -q -t ext4 -d "$dir/base" -L root "$dir/disk.img" 8G

: >"$dir/results"
echo "vm-test: booting; console in build/vm/console"
timeout -k 10 2400 qemu-system-x86_64 -accel "$accel" -m 3072 -smp 2 \
	-kernel "$(echo "$dir"/base/boot/vmlinuz-*)" -initrd "$(echo "$dir"/base/boot/initrd.img-*)" \
	-append 'root=/dev/vda rw console=ttyS0 panic=1' \
	-drive "file=$dir/disk.img,format=raw,if=virtio,cache=unsafe" \
	-netdev user,id=n -device virtio-net-pci,netdev=n,romfile= \
	-serial "file:$dir/console" -serial "file:$dir/results" -monitor none -display none </dev/null &
vm=$!
trap 'kill $vm 2>/dev/null || true; wait $vm || true; [ -n "${VM_KEEP:-}" ] || rm -f "$dir/disk.img"' EXIT
tail --pid=$vm -n +1 -f "$dir/results"
totals=$(tr -d '\r' <"$dir/results" | grep -x '[0-9]* passed, [0-9]* failed') ||
	{ echo "vm-test: the guest did not come to an end; see build/vm/console" >&2; exit 1; }
[[ $totals != 0\ * && $totals == *', 0 failed' ]]
