to: frontend/src/pages/{{ snake_plural }}/Edit.tsx
skip_exists: true
message: "Frontend `Edit` page for `{{ pascal_singular }}` was added successfully."
---
import { useState, type SubmitEvent } from 'react'
import { useNavigate, useParams } from 'react-router'
import { use{{ pascal_singular }}, useUpdate{{ pascal_singular }} } from '../../api/{{ snake_plural }}'
import type { {{ pascal_singular }}Dto } from '../../bindings/{{ pascal_singular }}Dto'
import type { Update{{ pascal_singular }} } from '../../bindings/Update{{ pascal_singular }}'
import { Page } from '../../components/Page'
import { Fields } from './New'

export function Edit() {
  const id = Number(useParams().id)
  const { data, error, isLoading } = use{{ pascal_singular }}(id)

  return (
    <Page title="Edit {{ pascal_singular }}">
      {isLoading && <output>Loading…</output>}
      {error && <p className="problems" role="alert">{error.message}</p>}
      {!(id > 0) && <p className="problems" role="alert">There is no {{ pascal_singular }} at this address.</p>}
      {data && <EditForm key={data.id} {{ camel_singular }}={data} />}
    </Page>
  )
}

function EditForm({ {{ camel_singular }} }: { {{ camel_singular }}: {{ pascal_singular }}Dto }) {
  const navigate = useNavigate()
  const update = useUpdate{{ pascal_singular }}()
  const { id } = {{ camel_singular }}
  const [values, setValues] = useState<Update{{ pascal_singular }}>({
{%- for field in fields %}
    {{ field.field_name }}: {{ camel_singular }}.{{ field.field_name }},
{%- endfor %}
  })

  function handleSubmit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault()
    if (update.isPending) {
      return
    }
    update.mutate({ id, data: values }, { onSuccess: () => void navigate(`/{{ snake_plural }}/${id}`) })
  }

  return (
    <form onSubmit={handleSubmit}>
      <Fields values={values} onChange={setValues} />
      {update.error && <p className="problems" role="alert">{update.error.message}</p>}
      <button type="submit" aria-disabled={update.isPending}>
        Save
      </button>
    </form>
  )
}
