{{- define "modelbus.labels" -}}
app.kubernetes.io/name: modelbus
app.kubernetes.io/instance: {{ .release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "modelbus.image" -}}
{{ .root.Values.image.prefix }}/{{ .part }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "modelbus.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "modelbus.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "modelbus.fromSecret" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .root.Values.secret }}, key: {{ .key }}}}
{{- end }}

{{- define "modelbus.bus" -}}
- {name: MODELBUS_NATS_URL, value: {{ .root.Values.nats.url | quote }}}
- {name: MODELBUS_NATS_REPLICAS, value: {{ .root.Values.nats.replicas | quote }}}
- {name: MODELBUS_NATS_USAGE_BYTES, value: {{ .root.Values.nats.usageBytes | quote }}}
- {name: MODELBUS_NATS_USER, value: {{ .user }}}
{{ include "modelbus.fromSecret" (dict "root" .root "name" "MODELBUS_NATS_PASSWORD" "key" (printf "nats-%s-password" .user)) }}
{{- if .root.Values.nats.caConfigMap }}
- {name: MODELBUS_NATS_CA_FILE, value: /etc/modelbus/nats/ca.crt}
{{- end }}
{{- if .root.Values.nats.certificateSecret }}
- {name: MODELBUS_NATS_CERT_FILE, value: /etc/modelbus/certificate/tls.crt}
- {name: MODELBUS_NATS_KEY_FILE, value: /etc/modelbus/certificate/tls.key}
{{- end }}
{{- if .root.Values.nats.tlsFirst }}
- {name: MODELBUS_NATS_TLS_FIRST, value: "true"}
{{- end }}
{{- end }}

{{- define "modelbus.volumes" -}}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- if .Values.nats.caConfigMap }}
- name: nats-ca
  configMap: {name: {{ .Values.nats.caConfigMap }}}
{{- end }}
{{- if .Values.nats.certificateSecret }}
- name: nats-certificate
  secret: {secretName: {{ .Values.nats.certificateSecret }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{- define "modelbus.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.nats.caConfigMap }}
- {name: nats-ca, mountPath: /etc/modelbus/nats, readOnly: true}
{{- end }}
{{- if .Values.nats.certificateSecret }}
- {name: nats-certificate, mountPath: /etc/modelbus/certificate, readOnly: true}
{{- end }}
{{- end }}
