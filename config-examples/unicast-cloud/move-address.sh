#!/bin/sh
# Has the cloud deliver the address to this machine when it has become master. Arguments: INSTANCE, the name of the
# instance, its new state, its priority.

[ "$3" = MASTER ] || exit 0

# As it stands it only writes down what it would do: take that away, and put in what your cloud has.
echo aws ec2 assign-private-ip-addresses --allow-reassignment --private-ip-addresses 10.0.0.100 \
    --network-interface-id eni-0123456789abcdef0 >>/tmp/move-address
